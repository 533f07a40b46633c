import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { create, fromBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { notFound } from '@longshore/errors';
import { createLogger } from '@longshore/kit';
import { cgroupHierarchies, readMountInfo, removeCgroup } from '@longshore/linux';
import { TaskCreateSchema, TaskExitSchema } from '@longshore/proto/containerd/events/task';
import {
  type Container,
  ContainerSchema,
} from '@longshore/proto/containerd/services/containers/v1/containers';
import {
  CreateTaskRequestSchema,
  ExecProcessRequestSchema,
} from '@longshore/proto/containerd/services/tasks/v1/tasks';
import type { Envelope } from '@longshore/proto/containerd/types/event';
import { JsonTypeUrl } from '@longshore/proto/json-types';
import { expect, vi } from 'vitest';
import { EventHub } from '../spool/event-hub.ts';
import { EventSpool } from '../spool/event-spool.ts';
import { NodeEvents } from '../spool/node-events.ts';
import { addExec, startProcess } from './process-operations.ts';
import type { Task } from './task.ts';
import type { TaskCall } from './task-call.ts';
import { TaskManager, type TaskManagerOptions } from './task-manager.ts';
import { fifosBelow } from './testing/fifos-below.ts';
import { NetworkNamespaces } from './testing/network-namespaces.ts';
import { shimSocket } from './testing/shim-socket.ts';

export const NAMESPACE = 'task-test';
export const CALL = { namespace: NAMESPACE };
/** Name of the group of containers that share a shim. */
export const GROUP = 'pod';
/** Processes take a while to start and die on a busy machine. */
export const SOON = { timeout: 10_000, interval: 10 };

export function onPath(name: string): string {
  const directories = (process.env.PATH ?? '').split(delimiter);
  const found = directories.map((directory) => join(directory, name)).find(isExecutable);
  if (!found) throw new Error(`${name} must be on PATH`);
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * A node's tasks over directories of its own, with real shims and runc. `restart` is what a killed agent's successor
 * does; `close` ends everything and fails when something is left.
 */
export class TaskFixture {
  readonly directory = mkdtempSync(join(tmpdir(), 'tasks-'));
  readonly cgroupParent = `/longshore-test-${randomBytes(4).toString('hex')}`;
  readonly containers = new Map<string, Container>();
  /** Events in the order in which they were recorded, with their ids. */
  readonly events: { id: string; envelope: Envelope }[] = [];
  /** Tells subscribers what is recorded. */
  readonly hub = new EventHub();
  /** No event can be recorded. */
  isDiskFull = false;
  /** How often that was tried meanwhile. */
  refused = 0;
  manager!: TaskManager;
  /** Of the containers that were made. */
  readonly #networks = new NetworkNamespaces();
  #spool!: EventSpool;

  static async open(options: Partial<TaskManagerOptions> = {}): Promise<TaskFixture> {
    const fixture = new TaskFixture();
    for (const name of ['containerd-shim-runc-v2', 'runc']) onPath(name);
    const bin = join(fixture.directory, 'image', 'bin');
    mkdirSync(bin, { recursive: true });
    for (const name of ['proc', 'dev', 'tmp']) mkdirSync(join(fixture.directory, 'image', name));
    copyFileSync(onPath('busybox'), join(bin, 'busybox'));
    await fixture.start(options);
    return fixture;
  }

  get stateDir(): string {
    return join(this.directory, 'state');
  }

  get rootDir(): string {
    return join(this.directory, 'root');
  }

  async start(options: Partial<TaskManagerOptions> = {}): Promise<void> {
    mkdirSync(this.rootDir, { recursive: true });
    this.#spool = new EventSpool(join(this.rootDir, 'spool.db'));
    const node = new NodeEvents(this.#spool, this.hub);
    const recorder = {
      record: (event: { id: string; envelope: Envelope }) => {
        if (this.isDiskFull) this.#refuse();
        const fresh = node.record(event);
        if (fresh) this.#recorded(event);
        return fresh;
      },
    };
    this.manager = await TaskManager.open({
      node: 'node-1',
      stateDir: this.stateDir,
      rootDir: this.rootDir,
      socketPath: join(this.directory, 'node.sock'),
      publishBinary: '/bin/false',
      cgroupParent: this.cgroupParent,
      env: process.env,
      debug: false,
      log: createLogger('test', process.env.TEST_LOG ?? 'silent'),
      recorder,
      containers: { get: async (id) => this.#container(id) },
      ...options,
    });
  }

  /** As a kill would: connections break, nothing is said. What is recorded while `meanwhile` runs is missed. */
  async restart(
    meanwhile: () => Promise<void> = async () => undefined,
    options: Partial<TaskManagerOptions> = {},
  ): Promise<void> {
    await this.manager.close();
    this.#spool.close();
    await meanwhile();
    await this.start(options);
  }

  /** Makes a container that runs `args` of busybox, and its task. */
  async create(
    id: string,
    args: string[],
    spec: object = {},
    io: object = {},
    call: TaskCall = CALL,
  ): Promise<Task> {
    this.containers.set(id, containerOf(id, this.spec(id, args, spec)));
    return await this.manager.create(call, this.request(id, io));
  }

  async run(id: string, args: string[], spec: object = {}): Promise<Task> {
    const task = await this.create(id, args, spec);
    await startProcess(this.manager.context, task, '', CALL);
    return task;
  }

  async exec(task: Task, execId: string, args: string[]): Promise<number> {
    const spec = { args: ['/bin/busybox', ...args], cwd: '/', user: { uid: 0, gid: 0 } };
    await addExec(this.manager.context, task, this.execRequest(task.id, execId, spec), CALL);
    return await startProcess(this.manager.context, task, execId, CALL);
  }

  execRequest(containerId: string, execId: string, spec: object) {
    const value = Buffer.from(JSON.stringify(spec));
    return create(ExecProcessRequestSchema, {
      containerId,
      execId,
      spec: { typeUrl: JsonTypeUrl.Process, value },
    });
  }

  request(containerId: string, io: MessageInitShape<typeof CreateTaskRequestSchema> = {}) {
    const source = join(this.directory, 'image');
    const rootfs = [{ type: 'bind', source, options: ['rbind', 'rw'] }];
    return create(CreateTaskRequestSchema, { containerId, rootfs, ...io });
  }

  spec(id: string, args: string[], more: object = {}): object {
    return {
      ociVersion: '1.0.2',
      process: { args: ['/bin/busybox', ...args], cwd: '/', user: { uid: 0, gid: 0 }, env: ['PATH=/bin'] },
      root: { path: 'rootfs' },
      mounts: [
        { destination: '/proc', type: 'proc', source: 'proc' },
        { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['mode=755'] },
        {
          destination: '/dev/pts',
          type: 'devpts',
          source: 'devpts',
          options: ['newinstance', 'ptmxmode=0666'],
        },
      ],
      linux: {
        cgroupsPath: `/${NAMESPACE}/${id}`,
        namespaces: ['pid', 'mount', 'ipc', 'uts', 'network'].map((type) => ({ type })),
      },
      ...more,
    };
  }

  /** Topics of what was recorded of a container, execs as `topic(exec)`. */
  topics(id: string): string[] {
    return this.events.flatMap(({ envelope }) => {
      const { topic, event } = envelope;
      const text = Buffer.from(event?.value ?? []).toString('latin1');
      if (!text.startsWith(`\n${String.fromCharCode(id.length)}${id}`)) return [];
      const exit = topic === '/tasks/exit' ? this.#exit(envelope).id : id;
      return [exit === id ? topic : `${topic}(${exit})`];
    });
  }

  exits(id: string) {
    const exits = this.events.filter(({ envelope }) => envelope.topic === '/tasks/exit');
    return exits.map(({ envelope }) => this.#exit(envelope)).filter((exit) => exit.containerId === id);
  }

  async shimPid(task: Task): Promise<number> {
    return (await task.call('connect', {})).shimPid;
  }

  /**
   * Shims and other processes of theirs, mounts, bundles, work directories, fifos, cgroups, network namespaces and runc's own
   * state; nothing when all is well.
   */
  leftovers(): string[] {
    const below = (...path: string[]) => {
      const directory = join(...path);
      return existsSync(directory) ? readdirSync(directory).map((name) => join(directory, name)) : [];
    };
    const plugin = 'io.containerd.runtime.v2.task';
    return [
      ...this.#processes(),
      ...[...this.containers.keys(), GROUP].map((id) => this.shimSocket(id)).filter(existsSync),
      ...readMountInfo().flatMap(({ mountPoint }) =>
        mountPoint.startsWith(this.directory) ? [mountPoint] : [],
      ),
      ...below(this.stateDir, plugin, NAMESPACE),
      ...below(this.rootDir, plugin, NAMESPACE),
      ...below(this.stateDir, 'runc', NAMESPACE),
      ...[this.stateDir, this.rootDir].flatMap(fifosBelow),
      ...this.#networks.holders(),
      ...cgroupHierarchies().flatMap((root) =>
        below(root, this.cgroupParent, NAMESPACE).filter((path) => existsSync(join(path, 'cgroup.procs'))),
      ),
    ];
  }

  /** Where the shim of a container listens. */
  shimSocket(id: string): string {
    return shimSocket(join(this.directory, 'node.sock'), NAMESPACE, id);
  }

  async close(): Promise<void> {
    for (const task of this.manager.list(NAMESPACE)) {
      // Stopped already, or on its way out.
      await task.call('kill', { signal: 9, all: true }).catch(() => undefined);
      await task.call('wait', {}).catch(() => undefined);
      await this.manager.delete(CALL, task.id).catch(() => undefined);
    }
    await vi.waitFor(() => expect(this.leftovers()).toEqual([]), SOON);
    this.#networks[Symbol.dispose]();
    await this.manager.close();
    this.#spool.close();
    await removeCgroup(this.cgroupParent);
    rmSync(this.directory, { recursive: true });
  }

  /** As `node:sqlite` does. */
  #refuse(): never {
    this.refused++;
    throw Object.assign(new Error('database or disk is full'), { code: 'ERR_SQLITE_ERROR', errcode: 13 });
  }

  #recorded(event: { id: string; envelope: Envelope }): void {
    this.events.push(event);
    const { topic, event: content } = event.envelope;
    if (topic !== '/tasks/create' || !content) return;
    const { pid } = fromBinary(TaskCreateSchema, content.value);
    if (this.#isOurs(pid)) this.#networks.keep(pid);
  }

  /** False once it has ended. */
  #isOurs(pid: number): boolean {
    try {
      return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`${this.cgroupParent}/`);
    } catch {
      return false;
    }
  }

  /** Shims, and what they or we have run, name the directory. */
  #processes(): string[] {
    const listed = execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' }).split('\n');
    return listed.filter((line) => line.includes(this.directory));
  }

  #exit(envelope: Envelope) {
    return fromBinary(TaskExitSchema, envelope.event?.value ?? new Uint8Array());
  }

  #container(id: string): Container {
    const container = this.containers.get(id);
    if (!container)
      throw notFound(`container ${JSON.stringify(id)} in namespace ${JSON.stringify(NAMESPACE)}`);
    return container;
  }
}

export function containerOf(id: string, spec: object, runtime = 'io.containerd.runc.v2'): Container {
  return create(ContainerSchema, {
    id,
    runtime: { name: runtime },
    spec: { typeUrl: JsonTypeUrl.Spec, value: Buffer.from(JSON.stringify(spec)) },
  });
}
