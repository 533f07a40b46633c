import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { alreadyExists, LongshoreError, messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { removeCgroup } from '@longshore/linux';
import { parseIdentifier } from '@longshore/oci';
import type { CreateTaskRequest } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import type { TtrpcServer } from '@longshore/ttrpc';
import type { EventRecorder } from '../spool/node-events.ts';
import { CleanUpQueue } from './clean-up-queue.ts';
import { createTask } from './create-task.ts';
import {
  cleanUpDeadTask,
  type DeadTask,
  type RecoveryTimes,
  recoverTasks,
  removeGarbage,
} from './recover-tasks.ts';
import { deleteTask, removeAfterShimDeath } from './remove-task.ts';
import { RuntimeBinaries } from './runtime-binary.ts';
import { ShimDialects } from './shim-dialect.ts';
import { serveShimEvents } from './shim-events-server.ts';
import type { ShimSettings } from './shim-process.ts';
import { inStep } from './step-error.ts';
import type { Task } from './task.ts';
import type { ContainerLookup, TaskCall, TaskContext, TaskStdio } from './task-context.ts';
import { TaskEvents } from './task-events.ts';
import { type ProcessRecord, TaskJournal } from './task-journal.ts';
import type { ProcessExit } from './task-report.ts';

export interface TaskManagerOptions extends ShimSettings {
  /** This node's name; part of the ids of its events. */
  node: string;
  stateDir: string;
  rootDir: string;
  cgroupParent: string;
  containers: ContainerLookup;
  recorder: EventRecorder;
  log: Logger;
  /** Keeps output; without it, nobody may ask for that. */
  stdio?: TaskStdio | undefined;
  /** Headers that carry the trace of the call under way; none by default. */
  traceHeaders?: () => Record<string, string>;
  /** Of shims that an earlier agent left behind. */
  recovery?: RecoveryTimes;
}

const RECOVERY: RecoveryTimes = {
  // Source: containerd core/runtime/v2/shim.go.
  loadMs: 5_000,
  // One that is starved, by hundreds that come back at once, say, answers after a while.
  unansweringMs: 20_000,
};
/** Of the clean-up queue; keys of tasks have a slash. */
const GARBAGE = 'garbage';

const PRUNE_EVERY_MS = 10 * 60_000;
/** Names of tasks that are gone, some 100 bytes each. */
const MAX_GONE = 1_000;
/** A shim sends an event again for some twenty seconds; it must find the record of its process. */
const KEEP_ENDED_MS = 60 * 60_000;

/**
 * The tasks of this node. States: open → closed. Closing, or dying, leaves shims and containers as they are; the next
 * manager over the same directories finds them.
 */
export class TaskManager implements AsyncDisposable {
  readonly context: TaskContext;
  readonly #options: TaskManagerOptions;
  readonly #tasks = new Map<string, Task>();
  readonly #creating = new Set<string>();
  /** Of tasks that an earlier agent left without a shim; their ids are not free until they are removed. */
  readonly #cleanUps = new CleanUpQueue();
  readonly #goneListeners = new Set<(record: ProcessRecord) => void>();
  readonly #closing = new AbortController();
  /** Tasks that are gone, the oldest first: clients ask for them again, and need not wait for the control plane's word. */
  readonly #gone = new Set<string>();
  readonly #prune: NodeJS.Timeout;
  #server: TtrpcServer | undefined;

  private constructor(options: TaskManagerOptions) {
    const { node, recorder, stateDir, rootDir, cgroupParent, log } = options;
    for (const directory of [stateDir, rootDir]) mkdirSync(directory, { recursive: true, mode: 0o711 });
    const journal = new TaskJournal(join(rootDir, 'tasks.db'));
    this.#options = options;
    this.context = {
      settings: options,
      directories: { stateDir, rootDir },
      cgroupParent,
      binaries: new RuntimeBinaries(options.env.PATH ?? ''),
      dialects: new ShimDialects(),
      journal,
      events: new TaskEvents({ node, recorder, journal, log }),
      log,
      stdio: options.stdio,
      closing: this.#closing.signal,
      traceHeaders: options.traceHeaders ?? (() => ({})),
    };
    this.#prune = setInterval(() => this.#forgetEnded(), PRUNE_EVERY_MS).unref();
  }

  /**
   * Listens for shims' events at `<socketPath>.ttrpc`, and finds the tasks that are there. What is slow is not waited for:
   * shims that do not answer (5 s for all of them together), and the clean-up of what has none.
   */
  static async open(options: TaskManagerOptions): Promise<TaskManager> {
    const manager = new TaskManager(options);
    const { context } = manager;
    try {
      manager.#server = await serveShimEvents(`${options.socketPath}.ttrpc`, context.events);
      await manager.#recover();
      return manager;
    } catch (error) {
      await manager.close();
      throw error;
    }
  }

  /** Resolves when the container is made and its first process waits for its start. */
  async create(call: TaskCall, request: CreateTaskRequest): Promise<Task> {
    const id = request.containerId;
    const container = await this.#options.containers.get(id, call);
    inStep(`invalid task id ${id}`, () => parseIdentifier(id));
    const key = keyOf(call.namespace, id);
    await this.#cleanUps.done(key);
    const known = this.#tasks.get(key);
    if (known?.state === 'leaving') await known.gone;
    if (this.#tasks.has(key) || this.#creating.has(key)) throw alreadyExists(`task ${id}`);
    this.#creating.add(key);
    try {
      const task = await createTask(this.context, call, container, request);
      this.#add(task);
      return task;
    } finally {
      this.#creating.delete(key);
    }
  }

  /**
   * The task of a container. For one that is known here nobody else is asked, so that it can be worked with while the
   * control plane is away. Fails with `NotFound`, naming the container when that does not exist either.
   */
  async get(call: TaskCall, id: string): Promise<Task> {
    const task = this.#tasks.get(keyOf(call.namespace, id));
    if (task) return task;
    if (!this.#gone.has(keyOf(call.namespace, id))) await this.#options.containers.get(id, call);
    throw new LongshoreError('NotFound', `task ${id} not found`);
  }

  /** The task of a container as far as this node knows it; nobody else is asked. */
  find(namespace: string, id: string): Task | undefined {
    return this.#tasks.get(keyOf(namespace, id));
  }

  /** Tasks of a namespace, by id. */
  list(namespace: string): Task[] {
    const tasks = [...this.#tasks.values()].filter((task) => task.namespace === namespace);
    return tasks.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Whether there is, or is about to be, a task of the container; a stopped one counts until nothing is left of it. */
  has(namespace: string, id: string): boolean {
    const key = keyOf(namespace, id);
    return this.#tasks.has(key) || this.#creating.has(key) || this.#cleanUps.has(key);
  }

  /** Containers of a namespace for which `has` says so. */
  ids(namespace: string): string[] {
    const keys = new Set([...this.#tasks.keys(), ...this.#creating, ...this.#cleanUps.keys()]);
    const prefix = keyOf(namespace, '');
    return [...keys].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
  }

  /** Calls `listener` when nothing is left of a task, with its first process; the answer ends that. */
  onGone(listener: (record: ProcessRecord) => void): () => void {
    this.#goneListeners.add(listener);
    return () => this.#goneListeners.delete(listener);
  }

  /** Tasks of all namespaces whose first process has not ended. */
  running(): Task[] {
    const { journal } = this.context;
    return [...this.#tasks.values()].filter((task) => !journal.reread(task.record).exited);
  }

  /** Removes a stopped task, its shim and its bundle. */
  async delete(call: TaskCall, id: string): Promise<ProcessExit> {
    return await deleteTask(this.context, await this.get(call, id), call);
  }

  async close(): Promise<void> {
    clearInterval(this.#prune);
    this.#closing.abort();
    await this.#server?.close();
    await this.#cleanUps.close();
    const tasks = [...this.#tasks.values()];
    this.#tasks.clear();
    await Promise.all(tasks.map(letGo));
    this.context.events.close();
    this.context.journal.close();
    if (tasks.length === 0) await this.#removeCgroupParent();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #recover(): Promise<void> {
    const { context } = this;
    const { recovery = RECOVERY } = this.#options;
    const options = { ...recovery, closing: this.#closing.signal };
    const { tasks, dead, garbage } = await recoverTasks(context, options);
    for (const task of tasks) {
      if (task.state === 'gone') this.#tellGone(task.record);
      else this.#add(task);
    }
    for (const one of dead)
      this.#cleanUps.add(keyOf(one.bundle.namespace, one.bundle.id), () => this.#cleanUp(one));
    if (garbage.length > 0) this.#cleanUps.add(GARBAGE, () => removeGarbage(context, garbage));
  }

  async #cleanUp(dead: DeadTask): Promise<void> {
    await cleanUpDeadTask(this.context, dead);
    if (dead.record) this.#tellGone(dead.record);
  }

  #tellGone(record: ProcessRecord): void {
    for (const listener of this.#goneListeners) listener(record);
  }

  #add(task: Task): void {
    const key = keyOf(task.namespace, task.id);
    this.#tasks.set(key, task);
    this.context.stdio?.add(task);
    void task.gone.then(() => {
      if (this.#tasks.get(key) === task) this.#tasks.delete(key);
      this.#rememberGone(key);
      this.#tellGone(task.record);
    });
    void task.client.closed.then(() => this.#shimClosed(key, task));
  }

  /** Never throws: a full disk must not end the process. */
  #forgetEnded(): void {
    const { journal, log } = this.context;
    try {
      journal.prune(KEEP_ENDED_MS);
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'processes that have ended cannot be forgotten yet');
    }
  }

  #rememberGone(key: string): void {
    this.#gone.delete(key);
    this.#gone.add(key);
    const [oldest] = this.#gone;
    if (this.#gone.size > MAX_GONE && oldest !== undefined) this.#gone.delete(oldest);
  }

  async #shimClosed(key: string, task: Task): Promise<void> {
    // Not ours any more: we are closing, or the task is being removed.
    if (task.state !== 'live' || this.#tasks.get(key) !== task) return;
    const { namespace, id } = task;
    await removeAfterShimDeath(this.context, task).catch((err) => {
      this.context.log.error({ namespace, id, err }, 'clean-up after shim failed');
    });
  }

  /** Removed only here: while tasks come and go, removing it could meet a create that is about to use it. */
  async #removeCgroupParent(): Promise<void> {
    const { cgroupParent, log } = this.context;
    await removeCgroup(cgroupParent, { timeoutMs: 0 }).catch((error) => {
      log.debug({ cgroupParent, error: messageOf(error) }, 'cgroup parent stays');
    });
  }
}

/** Shim and container stay; a task that is being removed is removed. */
async function letGo(task: Task): Promise<void> {
  if (task.state === 'leaving') await task.gone;
  else await task.disconnect();
  await task.settled;
}

/** Identifiers contain no slash. */
function keyOf(namespace: string, id: string): string {
  return `${namespace}/${id}`;
}
