import { create } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { isKind, messageOf } from '@longshore/errors';
import { ExecProcessRequestSchema } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { exitOf } from '../stop/exit-of.ts';
import { SIGKILL } from '../stop/stop-task.ts';
import { addExec, deleteExec, startProcess } from '../tasks/process-operations.ts';
import { ShimGoneError } from '../tasks/shim-client.ts';
import type { Task } from '../tasks/task.ts';
import type { TaskCall, TaskContext } from '../tasks/task-context.ts';
import type { ProcessExit } from '../tasks/task-report.ts';
import { unlessAborted } from '../unless-aborted.ts';
import { ExecPipes } from './exec-pipes.ts';
import type { TerminalSize } from './exec-process.ts';
import { Handover } from './handover.ts';
import type { InputWriter } from './input-writer.ts';
import type { OutputStream } from './log-format.ts';
import type { StdioDirectory } from './stdio-directory.ts';

/** A process that has exited may have left its output to others, who need not ever end. Source: containerd's shim, 2 s for execs. */
const QUIET_MS = 2_000;
/** After these, the exec may have been made. */
const UNCERTAIN = ['Canceled', 'DeadlineExceeded', 'Unavailable'] as const;
/** For a shim to kill and delete an exec. */
const END_TIMEOUT_MS = 10_000;

export interface ExecOrder {
  execId: string;
  terminal: boolean;
  stdin: boolean;
  /** It has no input, and its output goes to `detachedLog`; empty for nowhere. */
  detached: boolean;
  detachedLog: string;
  /** `Process` of the OCI runtime spec. */
  spec: Any;
}

export interface ExecOutput {
  stream: OutputStream;
  data: Buffer;
}

/** A process beside a container's first one, from its making to its deletion. Its output has back-pressure, up to the process. */
export class RemoteExec {
  readonly id: string;
  readonly pid: number;
  /** How it ended. */
  readonly exit: Promise<ProcessExit>;
  readonly #context: TaskContext;
  readonly #task: Task;
  readonly #pipes: ExecPipes;
  readonly #outputs = new Handover<ExecOutput>();
  #isExited = false;
  #ended: Promise<void> | undefined;

  private constructor(context: TaskContext, task: Task, id: string, pid: number, pipes: ExecPipes) {
    this.id = id;
    this.pid = pid;
    this.#context = context;
    this.#task = task;
    this.#pipes = pipes;
    void pipes.copyTo(this.#outputs).then(() => this.#outputs.end());
    this.exit = exitOf(task, { execId: id });
    this.exit.then(
      () => {
        this.#isExited = true;
        endWhenQuiet(this.#outputs);
      },
      () => this.#outputs.end(),
    );
  }

  /** Throws what the shim does; then nothing is left of it. */
  static async start(
    context: TaskContext,
    task: Task,
    order: ExecOrder,
    directory: StdioDirectory,
    call: TaskCall,
  ): Promise<RemoteExec> {
    const { execId, terminal, detached, detachedLog, spec } = order;
    const before = incarnationOf(context, task, execId);
    const pipes = new ExecPipes(directory, order);
    let isAdded = false;
    try {
      const io = detached ? { stdin: '', stdout: detachedLog, stderr: '' } : pipes.paths;
      const request = { containerId: task.id, execId, terminal, ...io, spec };
      await addExec(context, task, create(ExecProcessRequestSchema, request), call);
      isAdded = true;
      const pid = await startProcess(context, task, execId, call);
      pipes.release();
      return new RemoteExec(context, task, execId, pid, pipes);
    } catch (error) {
      const mayBeMade = isKind(error, ...UNCERTAIN) && incarnationOf(context, task, execId) !== before;
      if (isAdded || mayBeMade) await endExec(context, task, execId);
      pipes.remove();
      throw error;
    }
  }

  get stdin(): InputWriter | undefined {
    return this.#pipes.stdin;
  }

  /** What it writes, to its end. Fails with what `signal` is aborted with. To be asked for once. */
  async *outputs(signal: AbortSignal): AsyncGenerator<ExecOutput> {
    const onAbort = () => this.#outputs.fail(signal.reason);
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
    try {
      yield* this.#outputs;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** How it ended: one that has closed its outputs may go on. Fails with what `signal` is aborted with. */
  exitUnless(signal: AbortSignal): Promise<ProcessExit> {
    return unlessAborted(this.exit, signal);
  }

  async resize({ width, height }: TerminalSize): Promise<void> {
    await this.#task.call('resizePty', { execId: this.id, width, height });
  }

  async kill(signal: number): Promise<void> {
    await this.#task.call('kill', { execId: this.id, signal });
  }

  /** Ends the standard input for good. */
  async closeStdin(): Promise<void> {
    await this.#pipes.stdin?.end();
    await this.#task.call('closeIO', { execId: this.id, stdin: true });
  }

  /** Kills it if it runs yet, and deletes it, once: its id may be another's then. Never rejects. */
  end(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  /** Deletes it when it has ended by itself. Never rejects. */
  async deleteAtEnd(): Promise<void> {
    await this.exit.catch(() => undefined);
    await this.end();
  }

  async #end(): Promise<void> {
    // What it has yet to write goes nowhere, and does not hold it up.
    this.#outputs.fail(undefined);
    await endExec(this.#context, this.#task, this.id, { isExited: this.#isExited });
    this.#pipes.remove();
  }
}

/** Tells an exec from an earlier one of its id, whose maker is somebody else. */
function incarnationOf(
  { journal }: TaskContext,
  { namespace, id }: Task,
  execId: string,
): string | undefined {
  return journal.find(namespace, id, execId)?.execIncarnation;
}

/** Kills an exec if it runs yet, and deletes it. Never rejects: with its task it goes anyway. */
export async function endExec(
  context: TaskContext,
  task: Task,
  execId: string,
  { isExited = false } = {},
): Promise<void> {
  const { namespace, id } = task;
  const call = { namespace, deadline: new Date(Date.now() + END_TIMEOUT_MS) };
  try {
    if (!isExited && (await killExec(task, execId, call))) await task.call('wait', { execId }, call);
    await deleteExec(context, task, execId, call);
  } catch (error) {
    if (error instanceof ShimGoneError || isKind(error, 'NotFound')) return;
    context.log.warn({ namespace, id, execId, error: messageOf(error) }, 'exec cannot be deleted');
  }
}

/** False for one that was never started, for whose end nobody can wait. */
async function killExec(task: Task, execId: string, call: TaskCall): Promise<boolean> {
  try {
    await task.call('kill', { execId, signal: SIGKILL }, call);
    return true;
  } catch (error) {
    return !isKind(error, 'FailedPrecondition');
  }
}

/** Ends what goes on after its process: when its consumer has waited for more, in vain, for so long. */
function endWhenQuiet(outputs: Handover<ExecOutput>): void {
  const exitedMs = performance.now();
  const timer = setInterval(() => {
    if (Math.min(outputs.waitedMs, performance.now() - exitedMs) >= QUIET_MS) outputs.end();
    if (outputs.isOver) clearInterval(timer);
  }, QUIET_MS / 8);
}
