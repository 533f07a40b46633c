import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { create } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { failedPrecondition, invalidArgument } from '@longshore/errors';
import { CreateTaskRequestSchema } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { JsonTypeUrl } from '@longshore/proto/json-types';
import type { RootfsOf } from '../restart/restart-task.ts';
import { mountToProto } from '../rpc/convert-mount.ts';
import { exitOf } from '../stop/exit-of.ts';
import type { Task } from '../tasks/task.ts';
import type { ContainerLookup, TaskCall } from '../tasks/task-context.ts';
import type { TaskManager } from '../tasks/task-manager.ts';
import type { ProcessExit } from '../tasks/task-report.ts';
import { parseExecNote } from './exec-note.ts';
import { execProcess, hasTerminal, rootPath, type WantedProcess } from './exec-process.ts';
import type { KeptOutput } from './kept-output.ts';
import type { KeptStdio } from './kept-stdio.ts';
import type { LogLimits } from './log-limits.ts';
import type { ReadableLog } from './log-reader.ts';
import { KEPT_LOG, keptLogUri } from './log-uri.ts';
import { endExec, RemoteExec } from './remote-exec.ts';

/** A terminal must have its output somewhere. */
const NOWHERE = '/dev/null';

export interface RemoteProcessesOptions {
  tasks: TaskManager;
  stdio: KeptStdio;
  containers: ContainerLookup;
  rootfsOf: RootfsOf;
  /** Throws FailedPrecondition while no task may be made of the container. */
  requireAdmitted(namespace: string, id: string): void;
}

export interface RemoteTask {
  containerId: string;
  terminal: boolean;
  stdin: boolean;
  options: Any | undefined;
  limits: LogLimits;
}

export interface WantedExec extends WantedProcess {
  containerId: string;
  /** Empty for a new one. */
  execId: string;
  stdin: boolean;
  detached: boolean;
  /** Instead of what {@link WantedProcess} says. */
  spec?: Any | undefined;
}

/** A task, its kept output, and how it will have ended. */
export interface AttachedTask {
  task: Task;
  output: KeptOutput;
  exit: Promise<ProcessExit>;
}

/** Tasks and execs for callers who share no file system with this node. */
export class RemoteProcesses {
  readonly #options: RemoteProcessesOptions;

  constructor(options: RemoteProcessesOptions) {
    this.#options = options;
  }

  /** Makes a task, not started, whose output is kept. Throws what {@link TaskManager.create} does. */
  async create(wanted: RemoteTask, call: TaskCall): Promise<Task> {
    const { tasks, containers, rootfsOf, requireAdmitted } = this.#options;
    const { containerId, terminal, stdin, options, limits } = wanted;
    requireAdmitted(call.namespace, containerId);
    const container = await containers.get(containerId, call);
    if (hasTerminal(container.spec?.value ?? new Uint8Array()) !== terminal) {
      const has = terminal ? 'none' : 'one';
      throw invalidArgument(`terminal of container ${JSON.stringify(containerId)}: its spec has ${has}`);
    }
    const mounts = await rootfsOf(container, call);
    const request = create(CreateTaskRequestSchema, {
      containerId,
      rootfs: mounts.map(mountToProto),
      terminal,
      stdout: keptLogUri({ stdin, limits }),
      ...(options && { options }),
    });
    return tasks.create(call, request);
  }

  /** A task and its kept output. Throws NotFound, and FailedPrecondition when its output goes elsewhere. */
  async attach(containerId: string, call: TaskCall): Promise<AttachedTask> {
    const { tasks, stdio } = this.#options;
    const task = await tasks.get(call, containerId);
    const kept = stdio.ofTask(task);
    if (!kept?.exit) throw failedPrecondition(`task ${containerId}: its output is not kept`);
    return { task, output: kept.output, exit: kept.exit };
  }

  /** Starts a process in a container. Throws what containerd's Exec and Start do; then nothing is left of it. */
  async exec(wanted: WantedExec, call: TaskCall): Promise<RemoteExec> {
    const { tasks, stdio } = this.#options;
    const { containerId, terminal, stdin, detached } = wanted;
    const task = await tasks.get(call, containerId);
    const order = {
      execId: wanted.execId || randomUUID(),
      terminal,
      stdin,
      detached,
      detachedLog: stdio.ofTask(task) ? KEPT_LOG : terminal ? NOWHERE : '',
      spec: wanted.spec ?? (await this.#specOf(wanted, task, call)),
    };
    const directory = stdio.directoryOf(task).exec(randomUUID());
    // Not to be cut short when the caller leaves: it is ended then.
    const { namespace, deadline } = call;
    const exec = await RemoteExec.start(tasks.context, task, order, directory, { namespace, deadline });
    if (detached) void exec.deleteAtEnd();
    return exec;
  }

  /** What a container has written. Throws NotFound, and FailedPrecondition when nothing was kept. */
  async log(containerId: string, call: TaskCall): Promise<ReadableLog> {
    const { tasks, stdio, containers } = this.#options;
    if (!tasks.has(call.namespace, containerId)) await containers.get(containerId, call);
    const log = stdio.logOf(call.namespace, containerId);
    if (!log) {
      throw failedPrecondition(`container ${JSON.stringify(containerId)}: its output is not kept`);
    }
    return log;
  }

  /** Execs that an earlier agent has left: those of callers are ended, detached ones deleted when they end. */
  takeUpExecs(): void {
    const { tasks, stdio } = this.#options;
    const { context } = tasks;
    for (const task of tasks.running()) {
      for (const directory of stdio.directoryOf(task).execs()) {
        const note = parseExecNote(directory.read('exec'));
        if (!note) {
          directory.remove();
          continue;
        }
        const { execId, detached } = note;
        const over = detached ? exitOf(task, { execId }).catch(() => undefined) : Promise.resolve();
        void over.then(() => endExec(context, task, execId)).then(() => directory.remove());
      }
    }
  }

  async #specOf(wanted: WantedExec, task: Task, call: TaskCall): Promise<Any> {
    const container = await this.#options.containers.get(wanted.containerId, call);
    const spec = container.spec?.value ?? new Uint8Array();
    const rootfs = resolve(task.bundle.path, rootPath(spec) ?? task.bundle.rootfsPath);
    // All that specs are made with, for the few who make one here.
    const { userOf } = await import('./user-of.ts');
    const value = execProcess(spec, wanted, (user) => userOf(rootfs, user));
    return { $typeName: 'google.protobuf.Any', typeUrl: JsonTypeUrl.Process, value };
  }
}
