import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { unavailable } from '@longshore/errors';
import { BoundedLog } from './bounded-log.ts';
import { guard } from './guard.ts';
import { signalProcess } from './proc-table.ts';

/** How a process ended; exactly one of the two is set, both null when it could not be started. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface ProcessOptions {
  /** For messages. */
  name: string;
  command: string;
  args: string[];
  /** The whole environment, nothing is added but the guard's mark. */
  env: NodeJS.ProcessEnv;
  logPath: string;
  uid?: number;
  gid?: number;
  cwd?: string;
  /** An IPC channel: it closes when we end, however we end, so that the process can do so too. */
  withChannel?: boolean;
  /** Sees the output as it comes. */
  onOutput?: (chunk: Buffer) => void;
}

/** Signals to end a process by, each with the time that it gets before the next. SIGKILL comes last by itself. */
export interface EndingStep {
  signal: NodeJS.Signals;
  timeoutMs: number;
}

const ORDERLY: readonly EndingStep[] = [{ signal: 'SIGTERM', timeoutMs: 3000 }];

/** A process that logs to a file, is in its own session (Ctrl-C is for us alone), and does not outlive us. */
export class ManagedProcess implements AsyncDisposable {
  readonly name: string;
  readonly log: BoundedLog;
  /** Resolves when it has ended and its output is written. */
  readonly exited: Promise<Exit>;
  readonly child: ChildProcess;
  readonly #ending: readonly EndingStep[];

  constructor(options: ProcessOptions, ending: readonly EndingStep[] = ORDERLY) {
    this.name = options.name;
    this.#ending = ending;
    this.log = new BoundedLog(options.logPath);
    this.child = start(options);
    const onOutput = (chunk: Buffer) => {
      this.log.write(chunk);
      options.onOutput?.(chunk);
    };
    this.child.stdout?.on('data', onOutput);
    this.child.stderr?.on('data', onOutput);
    this.exited = new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null) => {
        this.log.close();
        resolve({ code, signal });
      };
      this.child.once('error', (error) => {
        this.log.write(Buffer.from(`${error.message}\n`));
        if (this.child.pid === undefined) end(null, null);
      });
      this.child.once('close', end);
    });
    if (this.child.pid !== undefined) guard().adopt(this.child.pid);
  }

  /** 0 when it could not be started. */
  get pid(): number {
    return this.child.pid ?? 0;
  }

  isRunning(): boolean {
    return this.child.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Waits for `ready`; throws Unavailable, with the last lines of the log, if the process ends or time runs out first. */
  async whenReady(ready: (signal: AbortSignal) => Promise<unknown>, timeoutMs: number): Promise<void> {
    const ended = new AbortController();
    const timeout = AbortSignal.timeout(timeoutMs);
    const signal = AbortSignal.any([ended.signal, timeout]);
    const exit = this.exited.then((how) => {
      ended.abort();
      throw this.#failure(describeExit(how));
    });
    const late = once(timeout, 'abort').then(() => {
      throw this.#failure(`is not ready after ${timeoutMs / 1000} s`);
    });
    await Promise.race([ready(signal), exit, late]);
  }

  /** Ends it, gently first; resolves when it is gone. */
  async close(): Promise<void> {
    for (const { signal, timeoutMs } of this.#ending) {
      if (!this.isRunning()) break;
      signalProcess(this.pid, signal);
      await endsWithin(this.exited, timeoutMs);
    }
    if (this.isRunning()) signalProcess(this.pid, 'SIGKILL');
    await this.exited;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #failure(what: string): Error {
    return unavailable(`${this.name} ${what}; ${this.log.path} ends with:\n${this.log.tail(15)}\n${this.name}`);
  }
}

/** e.g. `exited with signal SIGKILL`. */
export function describeExit({ code, signal }: Exit): string {
  if (signal !== null) return `exited with signal ${signal}`;
  return code === null ? 'could not be started' : `exited with code ${code}`;
}

function start({ command, args, env, uid, gid, cwd = '/', withChannel = false }: ProcessOptions): ChildProcess {
  return spawn(command, args, {
    cwd,
    env: { ...env, ...guard().environment },
    stdio: withChannel ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe'],
    detached: true,
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  });
}

async function endsWithin(exited: Promise<Exit>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([exited, timeout]);
  clearTimeout(timer);
}
