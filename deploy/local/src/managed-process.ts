import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { LongshoreError } from '@longshore/errors';
import { BoundedLog } from './bounded-log.ts';
import { failureLine } from './failure-line.ts';
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
  onOutput?: (chunk: Buffer, source: 'stdout' | 'stderr') => void;
}

/** Signals to end a process by, each with the time that it gets before the next. SIGKILL comes last by itself. */
export interface EndingStep {
  signal: NodeJS.Signals;
  timeoutMs: number;
}

const LAST_OUTPUT_TIMEOUT_MS = 200;

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
    for (const source of ['stdout', 'stderr'] as const) {
      this.child[source]?.on('data', (chunk: Buffer) => {
        this.log.write(chunk);
        options.onOutput?.(chunk, source);
      });
    }
    this.exited = this.#watchExit();
    if (this.child.pid !== undefined) guard().adopt(this.child.pid);
  }

  /** 0 when it could not be started. */
  get pid(): number {
    return this.child.pid ?? 0;
  }

  isRunning(): boolean {
    return this.child.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /**
   * Waits for `ready`. Throws Unavailable, in one line with what the log says, if the process ends, `timeoutMs`
   * passes or `stop` aborts before.
   */
  async whenReady(
    ready: (signal: AbortSignal) => Promise<unknown>,
    timeoutMs: number,
    stop: AbortSignal = new AbortController().signal,
  ): Promise<void> {
    const settled = new AbortController();
    const timer = setTimeout(() => settled.abort(`is not ready after ${timeoutMs / 1000} s`), timeoutMs);
    const abort = () => settled.abort('is no longer wanted');
    stop.addEventListener('abort', abort);
    void this.exited.then((exit) => settled.abort(`${describeExit(exit)} before it was ready`));
    const failed = once(settled.signal, 'abort').then(() => {
      throw this.#failure(String(settled.signal.reason));
    });
    try {
      await Promise.race([ready(settled.signal), failed]);
    } finally {
      clearTimeout(timer);
      stop.removeEventListener('abort', abort);
    }
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

  #watchExit(): Promise<Exit> {
    const { promise, resolve } = Promise.withResolvers<Exit>();
    this.child.once('error', (error) => {
      this.log.write(Buffer.from(`${error.message}\n`));
      if (this.child.pid === undefined) resolve({ code: null, signal: null });
    });
    this.child.once('exit', (code, signal) => {
      // The output may end later than the process, or never: a process of its own may have inherited the pipe.
      setTimeout(() => resolve({ code, signal }), LAST_OUTPUT_TIMEOUT_MS);
      this.child.once('close', () => resolve({ code, signal }));
    });
    this.child.once('close', () => this.log.close());
    return promise;
  }

  #failure(what: string): Error {
    const reason = failureLine(this.log.tail());
    const detail = reason === '' ? this.log.path : `${this.log.path}: ${reason}`;
    return new LongshoreError('Unavailable', `${this.name} ${what} (${detail})`);
  }
}

/** e.g. `exited with signal SIGKILL`. */
export function describeExit({ code, signal }: Exit): string {
  if (signal !== null) return `exited with signal ${signal}`;
  return code === null ? 'could not be started' : `exited with code ${code}`;
}

function start({
  command,
  args,
  env,
  uid,
  gid,
  cwd = '/',
  withChannel = false,
}: ProcessOptions): ChildProcess {
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
