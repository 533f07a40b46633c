import { create, toBinary } from '@bufbuild/protobuf';
import { failedPrecondition, unavailable } from '@longshore/errors';
import { createLogger } from '@longshore/kit';
import type { Labels } from '@longshore/oci';
import { ContainerSchema } from '@longshore/proto/containerd/services/containers/v1/containers';
import { RecordSchema } from '@longshore/proto/longshore/watch/v1/watch';
import type { RecordCopy } from '../../records/record-copy.ts';
import { syncedCopy } from '../../records/testing/copies.ts';
import type { KeptStdio } from '../../stdio/kept-stdio.ts';
import { LogReaders } from '../../stdio/log-readers.ts';
import { containerLookup } from '../../tasks/container-lookup.ts';
import { startProcess } from '../../tasks/process-operations.ts';
import type { TaskCall } from '../../tasks/task-context.ts';
import { CALL, containerOf, NAMESPACE, type TaskFixture } from '../../tasks/task-fixture.testing.ts';
import { keptLogOf } from '../kept-log.ts';
import { OwnLabelStore } from '../own-label-store.ts';
import { OwnLabels } from '../own-labels.ts';
import { RestartMonitor } from '../restart-monitor.ts';
import type { RootfsOf } from '../restart-task.ts';
import { SupervisedContainers } from '../supervised-containers.ts';

/** A node with real tasks, whose containers' records this stands in for, and a restart monitor over them. */
export class MonitoredNode {
  readonly node: TaskFixture;
  readonly copy: RecordCopy = syncedCopy();
  readonly log = createLogger('test', process.env.TEST_LOG ?? 'silent');
  readonly labels: OwnLabels;
  readonly lookup = containerLookup(this.copy, { get: async () => this.#away() }, 'node-1');
  /** Keeps output, if there is one. */
  stdio: KeptStdio | undefined;
  readonly readers = new LogReaders();
  /** Ids of the containers that were removed. */
  readonly removed: string[] = [];
  /** What is to happen instead of the next removal. */
  insteadOfRemoval: (() => Promise<void>) | undefined;
  isAway = false;
  isCordoned = false;
  monitor!: RestartMonitor;
  /** What is to happen before the rootfs of a task is known. */
  beforeCreate: (call: TaskCall) => Promise<void> = async () => undefined;
  #revision = 0n;

  constructor(node: TaskFixture) {
    this.node = node;
    const update = async (request: { container: { id: string; labels: Labels } }) => {
      if (this.isAway) this.#away();
      this.label(request.container.id, request.container.labels);
      return {};
    };
    this.labels = new OwnLabels({
      nodeId: 'node-1',
      containers: { update } as never,
      store: new OwnLabelStore(':memory:', 'node-1'),
      log: this.log,
    });
  }

  /** Starts a monitor, as an agent that has just come up does. */
  watch(intervalMs: number, timeoutMs?: number, unstartedMs?: number): RestartMonitor {
    this.monitor = new RestartMonitor({
      tasks: this.node.manager,
      containers: new SupervisedContainers(this.copy, this.lookup),
      labels: this.labels,
      rootfsOf: this.#rootfsOf,
      keptLogOf: this.stdio ? keptLogOf(this.node.manager, this.stdio) : () => undefined,
      requireAdmitted: () => {
        if (this.isCordoned) throw failedPrecondition('node "node-1" is cordoned');
      },
      removeContainer: async ({ id }) => {
        const instead = this.insteadOfRemoval;
        this.insteadOfRemoval = undefined;
        if (instead) return instead();
        if (this.isAway) this.#away();
        this.remove(id);
        this.removed.push(id);
      },
      logRead: (namespace, id) => this.readers.gone(namespace, id),
      hub: this.node.hub,
      intervalMs,
      maxMs: 60_000,
      ...(timeoutMs && { timeoutMs }),
      ...(unstartedMs && { unstartedMs }),
      log: this.log,
    });
    this.monitor.start();
    return this.monitor;
  }

  /** The record of a container that runs `args` of busybox. */
  add(id: string, args: string[], labels: Labels, process: object = {}): void {
    const plain = this.node.spec(id, args) as { process: object };
    this.node.containers.set(id, containerOf(id, { ...plain, process: { ...plain.process, ...process } }));
    this.label(id, labels);
  }

  /** Makes and starts the container's task, as a client does. */
  async run(id: string, io: { stdout?: string } = {}): Promise<void> {
    const { manager } = this.node;
    await startProcess(manager.context, await manager.create(CALL, this.node.request(id, io)), '', CALL);
  }

  /** As `containers.Update` of some labels. */
  label(id: string, labels: Labels): void {
    const container = this.node.containers.get(id)!;
    Object.assign(container.labels, labels);
    this.#apply(id, { value: toBinary(ContainerSchema, create(ContainerSchema, container)) });
  }

  /** As `containers.Delete`. */
  remove(id: string): void {
    this.node.containers.delete(id);
    this.#apply(id, { deleted: true });
  }

  #apply(id: string, change: { value: Uint8Array } | { deleted: true }): void {
    this.#revision += 1n;
    const record = { kind: 'container', namespace: NAMESPACE, key: id, revision: this.#revision, ...change };
    this.copy.apply([create(RecordSchema, record)]);
  }

  labelsOf(id: string): Labels {
    return this.node.containers.get(id)!.labels;
  }

  /** How often a task of the container was started. */
  starts(id: string): number {
    return this.node.topics(id).filter((topic) => topic === '/tasks/start').length;
  }

  #rootfsOf: RootfsOf = async ({ id }, call) => {
    await this.beforeCreate(call);
    return this.node.request(id).rootfs;
  };

  #away(): never {
    throw unavailable('service "runtime"');
  }
}
