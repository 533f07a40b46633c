import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { kindOf, LongshoreError, messageOf } from '@longshore/errors';
import { isErrno } from '@longshore/linux';

/** What is kept of one output; the rest is read and dropped. Answers of shims are a few hundred bytes. */
const MAX_OUTPUT_BYTES = 1024 ** 2;
/** Of a failed command's own words; they go into a trailer. */
const MAX_WORDS = 4_096;
/** What was written before the end has arrived by then; a child of its own may hold the pipes for ever. */
const PIPES_TIMEOUT_MS = 1_000;

export interface ShimCommand {
  binary: string;
  args: readonly string[];
  cwd?: string;
  env: Readonly<Record<string, string | undefined>>;
  /** For its standard input, which then ends. */
  input?: Uint8Array | undefined;
  /** Then it is killed, with all of its process group. */
  timeoutMs: number;
}

export interface CommandOutcome {
  stdout: Buffer;
  stderr: Buffer;
  /** In Go's words for how a process ended; `DeadlineExceeded` when its time was up; undefined for success. */
  failure: Error | undefined;
}

/** Runs a shim's binary to its end, in a process group of its own. Never fails: see `failure`. */
export async function runShimCommand(command: ShimCommand): Promise<CommandOutcome> {
  const { input, timeoutMs } = command;
  const child = spawned(command);
  if (child instanceof Error) return { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0), failure: child };
  const ended = failureOf(child);
  // Out of descriptors, Node makes a child without pipes, and says so later.
  if (!child.stdin) return { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0), failure: await ended };
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    killGroup(child);
  }, timeoutMs);
  // A shim that ends without reading its input breaks the pipe; its exit status says what matters.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const failure = await ended;
  clearTimeout(timer);
  await closedWithin([child.stdout, child.stderr], PIPES_TIMEOUT_MS);
  return {
    stdout: Buffer.concat(stdout),
    stderr: Buffer.concat(stderr),
    failure: isLate ? new LongshoreError('DeadlineExceeded', `killed after ${timeoutMs} ms`) : failure,
  };
}

type PipedChild = ChildProcess & { stdin: Writable | undefined; stdout: Readable; stderr: Readable };

/** Most of what can go wrong is told by the child's `error`; the rest, such as too long an environment, is thrown. */
function spawned({ binary, args, cwd, env }: ShimCommand): PipedChild | Error {
  try {
    return spawn(binary, args, { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  } catch (error) {
    return error instanceof Error ? error : new Error(messageOf(error));
  }
}

/** A command's own words, and how it ended. */
export function commandFailed(words: Buffer, cause: Error): LongshoreError {
  const text = words.toString().trim().slice(0, MAX_WORDS);
  return new LongshoreError(kindOf(cause), `${text}: ${cause.message}`, { cause });
}

async function failureOf(child: ChildProcess): Promise<Error | undefined> {
  try {
    const [code, signal] = await once(child, 'exit');
    if (code === 0) return undefined;
    return new Error(code === null ? `signal: ${signal}` : `exit status ${code}`);
  } catch (error) {
    return error instanceof Error ? error : new Error(messageOf(error));
  }
}

function collect(stream: Readable): Buffer[] {
  const chunks: Buffer[] = [];
  let left = MAX_OUTPUT_BYTES;
  stream.on('data', (chunk: Buffer) => {
    if (left > 0) chunks.push(chunk.subarray(0, left));
    left -= chunk.length;
  });
  stream.on('error', () => undefined);
  return chunks;
}

async function closedWithin(streams: readonly Readable[], timeoutMs: number): Promise<void> {
  const timer = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: timer.signal }).catch(() => undefined);
  const open = streams.filter((stream) => !stream.closed);
  const closed = open.map((stream) => once(stream, 'close').catch(() => undefined));
  await Promise.race([Promise.all(closed), late]);
  timer.abort();
  for (const stream of streams) stream.destroy();
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}
