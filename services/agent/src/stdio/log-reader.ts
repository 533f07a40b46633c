import { open } from 'node:fs/promises';
import { passBulk } from '@longshore/kit';
import { isErrno } from '@longshore/linux';
import { type LogFile, listLogFiles } from './log-files.ts';
import { EntryParser, type OutputStream } from './log-format.ts';
import { tailStart } from './log-tail.ts';
import type { LogWriter } from './log-writer.ts';

const BATCH_BYTES = 256 * 1024;
const NEWLINE = 0x0a;
/** What a timer can wait for. */
const MAX_WAIT_MS = 2 ** 31 - 1;

/** Lines, or parts of one, that were written at one time. */
export interface LoggedOutput {
  stream: OutputStream;
  timeNs: bigint;
  data: Buffer;
  /** Bytes of the log before this that are gone. */
  skippedBytes: number;
}

export interface LogQuery {
  streams: ReadonlySet<OutputStream>;
  /** Where to begin; default: the oldest that is there. */
  from?: number | undefined;
  /** Begins so many lines of `streams` before the end. */
  tail?: number | undefined;
  /** Inclusive. */
  sinceNs?: bigint | undefined;
  untilNs?: bigint | undefined;
  /** Waits for more until it is over; else ends with what is there now. */
  follow: boolean;
  /** When following: whether nothing more is to be waited for; asked again when the writer wakes. Default: it is closed. */
  isOver?: (() => boolean) | undefined;
}

export interface ReadableLog {
  directory: string;
  /** Of a log that is being written. */
  writer?: LogWriter | undefined;
}

/**
 * Reads a log from the disk, so that however slow its reader is, nobody waits for it: a reader that is overtaken by rotation goes
 * on with the oldest that is there, and hears how much it has missed. Throws what `signal` is aborted with.
 */
export async function* readLog(
  { directory, writer }: ReadableLog,
  query: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<LoggedOutput[]> {
  const { follow, untilNs, isOver = () => !writer || writer.isClosed } = query;
  const files = listLogFiles(directory);
  const end = follow ? Number.POSITIVE_INFINITY : (files.at(-1)?.end ?? 0);
  let position = query.from ?? (await startOf(files, query));
  const parser = new EntryParser();
  for (;;) {
    signal.throwIfAborted();
    // Asked before the log is looked at, lest what comes in between be missed.
    const wasOver = !follow || isOver() || isPast(untilNs);
    using changed = writer?.nextChange();
    const batch = await readBatch(directory, position, end);
    if (batch) {
      position = batch.next;
      const { outputs, isLater } = select(batch, query, parser);
      if (outputs.length > 0) yield outputs;
      passBulk(batch.bytes.length);
      if (isLater) return;
    } else if (wasOver || !changed) {
      return;
    } else {
      await changedOrUntil(changed.promise, untilNs, signal);
    }
  }
}

async function startOf(files: LogFile[], { tail, streams }: LogQuery): Promise<number> {
  if (tail !== undefined) return tailStart(files, tail, streams);
  return files[0]?.start ?? 0;
}

interface Batch {
  bytes: Buffer;
  skippedBytes: number;
  next: number;
}

/** Whole entries at `position`, or at the first place behind it that is there; undefined when there are none yet. */
async function readBatch(directory: string, position: number, end: number): Promise<Batch | undefined> {
  const files = listLogFiles(directory);
  const file = files.find((one) => one.end > position);
  if (!file || file.start >= end) return undefined;
  const from = Math.max(position, file.start);
  const skippedBytes = from - position;
  const bytes = await readAt(file, from, Math.min(BATCH_BYTES, end - from));
  // It was rotated away just now.
  if (!bytes) return readBatch(directory, position, end);
  const length = bytes.lastIndexOf(NEWLINE) + 1;
  if (length > 0) return { bytes: bytes.subarray(0, length), skippedBytes, next: from + length };
  // An entry is being written; what is no entry in an older file never will be one.
  return file === files.at(-1) ? undefined : readBatch(directory, file.end, end);
}

async function readAt({ path, start }: LogFile, from: number, length: number): Promise<Buffer | undefined> {
  try {
    await using file = await open(path);
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, from - start);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** What the query wants of a batch; lines of one time are put together, in the place that their headers leave. */
function select(
  { bytes, skippedBytes }: Batch,
  { streams, sinceNs, untilNs }: LogQuery,
  parser: EntryParser,
): { outputs: LoggedOutput[]; isLater: boolean } {
  const outputs: LoggedOutput[] = [];
  let isLater = false;
  let open: LoggedOutput | undefined;
  let openFrom = 0;
  let filled = 0;
  for (let start = 0; start < bytes.length && !isLater; ) {
    const newline = bytes.indexOf(NEWLINE, start);
    const entry = parser.parse(bytes, start, newline);
    start = newline + 1;
    if (!entry || !streams.has(entry.stream)) continue;
    const { stream, timeNs, from, isFull } = entry;
    if (sinceNs !== undefined && timeNs < sinceNs) continue;
    isLater = untilNs !== undefined && timeNs > untilNs;
    if (isLater) continue;
    if (open?.stream !== stream || open.timeNs !== timeNs) {
      open = { stream, timeNs, data: bytes, skippedBytes: 0 };
      openFrom = filled;
      outputs.push(open);
    }
    const end = isFull ? start : newline;
    bytes.copyWithin(filled, from, end);
    filled += end - from;
    open.data = bytes.subarray(openFrom, filled);
  }
  if (skippedBytes > 0) {
    outputs[0] ??= { stream: 'stdout', timeNs: 0n, data: Buffer.alloc(0), skippedBytes };
    outputs[0].skippedBytes = skippedBytes;
  }
  return { outputs, isLater };
}

function isPast(timeNs: bigint | undefined): boolean {
  return timeNs !== undefined && timeNs < BigInt(Date.now()) * 1_000_000n;
}

/** Resolves at the first of them; the callers look what it was. */
async function changedOrUntil(
  changed: Promise<void>,
  untilNs: bigint | undefined,
  signal: AbortSignal,
): Promise<void> {
  const leftMs = untilNs === undefined ? MAX_WAIT_MS : Number(untilNs / 1_000_000n) + 1 - Date.now();
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.min(Math.max(leftMs, 0), MAX_WAIT_MS));
  const onAbort = () => resolve();
  signal.addEventListener('abort', onAbort);
  void changed.then(resolve);
  await promise;
  clearTimeout(timer);
  signal.removeEventListener('abort', onAbort);
}
