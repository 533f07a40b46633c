import { failedPrecondition, isKind, notFound } from '@longshore/errors';
import type { ProcessSpec, RuntimeSpec } from '@longshore/oci/runtime-spec';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import type { CallOptions } from '@longshore/rpc';
import type { Connection } from '../connection/connection.ts';
import type { Io } from '../io/io.ts';
import { type AttachOptions, attachTask } from '../tasks/attach-task.ts';
import { createTask, type NewTaskOptions } from '../tasks/create-task.ts';
import type { Task } from '../tasks/task.ts';
import type { ContainerOption } from './container-draft.ts';
import { stepsAndCall } from './container-draft.ts';
import { type ContainerInfo, containerInfoFromProto } from './container-info.ts';
import { type LogOptions, type LogOutput, readLogs } from './logs.ts';
import { updateContainer } from './update-container.ts';

export interface DeleteContainerOptions extends CallOptions {
  /** Its root file system goes too. */
  snapshot?: boolean | undefined;
}

/** A container by its id. It holds nothing: each call asks the server, and is NotFound once there is no such container. */
export class Container implements AsyncDisposable {
  readonly id: string;
  readonly #connection: Connection;

  constructor(connection: Connection, id: string) {
    this.#connection = connection;
    this.id = id;
  }

  async info(options?: CallOptions): Promise<ContainerInfo> {
    const { container } = await this.#connection.service(Containers).get({ id: this.id }, options);
    if (!container) throw notFound(`container ${JSON.stringify(this.id)}`);
    return containerInfoFromProto(container);
  }

  async labels(options?: CallOptions): Promise<Readonly<Record<string, string>>> {
    return (await this.info(options)).labels;
  }

  /** Sets these, and leaves the others; an empty value takes a label away. Answers all. */
  async setLabels(
    labels: Readonly<Record<string, string>>,
    options?: CallOptions,
  ): Promise<Readonly<Record<string, string>>> {
    const paths = Object.keys(labels).map((name) => `labels.${name}`);
    if (paths.length === 0) return this.labels(options);
    const containers = this.#connection.service(Containers);
    const request = { container: { id: this.id, labels }, updateMask: { paths } };
    const { container } = await containers.update(request, options);
    return container?.labels ?? {};
  }

  /**
   * Changes its record by options as `client.newContainer` takes them; what they leave alone stays, and so does a task as it is. Throws
   * InvalidArgument for what no record can change once it is there, e.g. its runtime.
   */
  update(...options: readonly (ContainerOption | CallOptions)[]): Promise<ContainerInfo> {
    return updateContainer(this.#connection, this.id, ...stepsAndCall(options));
  }

  async spec(options?: CallOptions): Promise<RuntimeSpec> {
    const { spec } = await this.info(options);
    return JSON.parse(new TextDecoder().decode(spec?.value)) as RuntimeSpec;
  }

  /** The process of its spec with other arguments: for `task.exec`. */
  async processSpec(args: readonly string[], options?: CallOptions): Promise<ProcessSpec> {
    const { process } = await this.spec(options);
    return { cwd: '/', ...process, args: [...args], terminal: false };
  }

  /** Makes its first process, which does not run yet. What fails leaves nothing. */
  newTask(io: Io, options: NewTaskOptions = {}): Promise<Task> {
    return createTask(this.#connection, this.id, io, options);
  }

  /** Its task, which somebody has made; with `io`, its streams are joined to these. Throws NotFound when there is none. */
  task(options: AttachOptions = {}): Promise<Task> {
    return attachTask(this.#connection, this.id, options);
  }

  /** What its processes wrote, where a longshore node keeps it. */
  logs(options: LogOptions = {}): AsyncIterable<LogOutput> {
    return readLogs(this.#connection, this.id, options);
  }

  /** Throws FailedPrecondition while it has a task. */
  async delete({ snapshot = false, ...options }: DeleteContainerOptions = {}): Promise<void> {
    if (await this.#hasTask(options)) {
      throw failedPrecondition(`container ${JSON.stringify(this.id)} has a task`);
    }
    if (snapshot) await this.#removeSnapshot(options);
    await this.#connection.service(Containers).delete({ id: this.id }, options);
  }

  /** Ends its task and removes everything of it, whatever is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (await this.#hasTask({})) await (await this.task()).delete({ kill: true });
      await this.delete({ snapshot: true });
    } catch (error) {
      if (!isKind(error, 'NotFound')) throw error;
    }
  }

  async #hasTask(options: CallOptions): Promise<boolean> {
    try {
      await this.#connection.service(Tasks).get({ containerId: this.id }, options);
      return true;
    } catch (error) {
      if (isKind(error, 'NotFound')) return false;
      throw error;
    }
  }

  async #removeSnapshot(options: CallOptions): Promise<void> {
    const { snapshotter, snapshotKey: key } = await this.info(options);
    if (key === '') return;
    try {
      await this.#connection.service(Snapshots).remove({ snapshotter, key }, options);
    } catch (error) {
      if (!isKind(error, 'NotFound')) throw error;
    }
  }
}
