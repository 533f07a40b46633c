import { isKind, unavailable } from '@longshore/errors';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import { bridgeOutages } from '../bridge-outages.ts';
import type { Connection } from '../connection/connection.ts';
import type { ProcessIo } from '../io/process-io.ts';
import { orAborted } from '../or-aborted.ts';
import { type ExitStatus, exitStatusFromProto } from './exit-status.ts';
import { type ProcessStatus, processStatusFromProto } from './process-status.ts';
import { type Signal, signalNumber } from './signal-number.ts';

export interface ProcessParts {
  readonly connection: Connection;
  readonly containerId: string;
  /** Empty for a task's first process. */
  readonly execId: string;
  readonly pid: number;
  readonly io: ProcessIo | undefined;
}

/** What a task and its further processes have in common. Calls are NotFound once it is deleted. */
export abstract class Process implements AsyncDisposable {
  readonly containerId: string;
  /** This side's ends of its streams; undefined when it has none here. */
  readonly io: ProcessIo | undefined;
  protected readonly connection: Connection;
  protected readonly tasks: ServiceClient<typeof Tasks>;
  protected readonly ids: { readonly containerId: string; readonly execId: string };
  protected currentPid: number;

  constructor({ connection, containerId, execId, pid, io }: ProcessParts) {
    this.connection = connection;
    this.containerId = containerId;
    this.ids = { containerId, execId };
    this.io = io;
    this.currentPid = pid;
    this.tasks = connection.service(Tasks);
  }

  /** On the node; 0 before it is known. */
  get pid(): number {
    return this.currentPid;
  }

  /** Lets it run. */
  abstract start(options?: CallOptions): Promise<void>;

  /** Removes it, which must have ended, or be to be killed. Its output is awaited before. */
  abstract delete(options?: DeleteProcessOptions): Promise<ExitStatus>;

  /**
   * How it ended, once it has: as long as it is not deleted no exit is lost, whether this is called before it starts or after it ended. A
   * restart of the server is bridged; one that stays away is Unavailable.
   */
  wait(options: CallOptions = {}): Promise<ExitStatus> {
    const exit = this.untilExit(options);
    // Asked for before a start that fails, it is not looked at again.
    exit.catch(() => undefined);
    return exit;
  }

  /** Throws NotFound for one that has ended. `all` is for all processes of a task. */
  async kill(
    signal: Signal = 'SIGTERM',
    { all = false, ...options }: CallOptions & { all?: boolean } = {},
  ): Promise<void> {
    await this.tasks.kill({ ...this.ids, signal: signalNumber(signal), all }, options);
  }

  /** In characters. */
  async resize(width: number, height: number, options?: CallOptions): Promise<void> {
    await this.tasks.resizePty({ ...this.ids, width, height }, options);
  }

  /** Ends the standard input, for those who write to its fifo by themselves. */
  async closeIO(options?: CallOptions): Promise<void> {
    await this.tasks.closeIO({ ...this.ids, stdin: true }, options);
  }

  async status(options?: CallOptions): Promise<ProcessStatus> {
    const { process } = await this.tasks.get(this.ids, options);
    if (!process) throw unavailable(`state of ${this.name}`);
    return processStatusFromProto(process);
  }

  /** Ends and removes it, unless that is done. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.delete({ kill: true });
    } catch (error) {
      if (!isKind(error, 'NotFound')) throw error;
      this.io?.close();
    }
  }

  /** For messages. */
  protected get name(): string {
    const { containerId, execId } = this.ids;
    const task = `task ${JSON.stringify(containerId)}`;
    return execId === '' ? task : `process ${JSON.stringify(execId)} of ${task}`;
  }

  protected async untilExit(options: CallOptions): Promise<ExitStatus> {
    const wait = () => this.tasks.wait(this.ids, options);
    const answer = await bridgeOutages(wait, this.connection.outageMs, options.signal);
    this.io?.endInput();
    return exitStatusFromProto(answer);
  }

  /** Resolves once this side has all that there is of its output. */
  protected async outputTaken(signal: AbortSignal | undefined): Promise<void> {
    const taken = this.io?.outputEnded.catch(() => undefined);
    if (taken) await orAborted(taken, signal, `output of ${this.name}`);
  }

  /** Kills it and waits for its end; nothing when it has ended, or never was. */
  protected async end(options: CallOptions, isWhole: boolean): Promise<void> {
    const exit = this.wait(options);
    try {
      await this.kill('SIGKILL', { ...options, all: isWhole });
    } catch (error) {
      // Has ended, or was never started.
      if (isKind(error, 'NotFound', 'FailedPrecondition')) return;
      throw error;
    }
    await exit;
  }
}

export interface DeleteProcessOptions extends CallOptions {
  /** Ends it first, with SIGKILL. */
  kill?: boolean | undefined;
}
