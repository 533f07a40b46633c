import { Socket } from 'node:net';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { kindOf, LongshoreError, messageOf } from '@longshore/errors';
import { ended, isErrno, type ProcessEnd, spawnPiped } from '@longshore/linux';

/** What is kept of one output; the rest is read and dropped. Answers of shims are a few hundred bytes. */
const MAX_OUTPUT_BYTES = 1024 ** 2;
/** Of a failed command's own words; they go into a trailer. */
const MAX_WORDS = 4_096;
/** What was written before the end has arrived by then; a child of its own may hold the pipes for ever. */
const PIPES_TIMEOUT_MS = 1_000;

const NOTHING = Buffer.alloc(0);
const SIGNALS = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

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

/** Runs a shim's binary to its end, in a session, hence a process group, of its own. Never fails: see `failure`. */
export async function runShimCommand(command: ShimCommand): Promise<CommandOutcome> {
  let started: Started;
  try {
    started = start(command);
  } catch (error) {
    return { stdout: NOTHING, stderr: NOTHING, failure: asError(error) };
  }
  const { pid, stdin, outputs } = started;
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    killGroup(pid);
  }, command.timeoutMs);
  const [stdout, stderr] = outputs.map(collect) as [Buffer[], Buffer[]];
  const failure = await ended(pid).then(failureOf, asError);
  clearTimeout(timer);
  stdin.destroy();
  await closedWithin(outputs, PIPES_TIMEOUT_MS);
  return {
    stdout: Buffer.concat(stdout),
    stderr: Buffer.concat(stderr),
    failure: isLate
      ? new LongshoreError('DeadlineExceeded', `killed after ${command.timeoutMs} ms`)
      : failure,
  };
}

/** A command's own words, and how it ended. */
export function commandFailed(words: Buffer, cause: Error): LongshoreError {
  const text = words.toString().trim().slice(0, MAX_WORDS);
  return new LongshoreError(kindOf(cause), `${text}: ${cause.message}`, { cause });
}

/** With our ends of what it reads and writes. */
interface Started {
  pid: number;
  stdin: Socket;
  /** Its standard output and error. */
  outputs: readonly [Socket, Socket];
}

function start({ binary: path, args, cwd, env, input = NOTHING }: ShimCommand): Started {
  const { pid, stdin, stdout, stderr } = spawnPiped({ path, args, env, cwd });
  const writer = new Socket({ fd: stdin, readable: false, writable: true });
  // A shim that ends without reading its input breaks the pipe; its exit status says what matters.
  writer.on('error', () => undefined).end(input);
  const reader = (fd: number) => new Socket({ fd, readable: true, writable: false });
  return { pid, stdin: writer, outputs: [reader(stdout), reader(stderr)] };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(messageOf(error));
}

function failureOf(end: ProcessEnd): Error | undefined {
  if ('signal' in end) return new Error(`signal: ${SIGNALS.get(end.signal) ?? end.signal}`);
  return end.code === 0 ? undefined : new Error(`exit status ${end.code}`);
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
  const open = streams.filter((stream) => !stream.closed);
  if (open.length > 0) {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const timer = setTimeout(resolve, timeoutMs);
    void Promise.all(open.map(closed)).then(resolve);
    await promise;
    clearTimeout(timer);
  }
  for (const stream of streams) stream.destroy();
}

function closed(stream: Readable): Promise<void> {
  return new Promise((resolve) => stream.once('close', resolve));
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}
