import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { listLogFiles, logFilePath } from './log-files.ts';
import { formatOutput, MAX_PIECE_BYTES, type OutputStream } from './log-format.ts';
import type { LogLimits } from './log-limits.ts';

const NEWLINE = 0x0a;

export interface LogWriterOptions {
  directory: string;
  limits: LogLimits;
  /** Bytes of entries that the disk did not take. */
  onDropped(bytes: number): void;
  log: Logger;
}

/** Resolves at the next change of a log. */
export interface NextChange extends Disposable {
  promise: Promise<void>;
}

/**
 * Writes one container's log, and wakes its readers. It is never the writer that waits: what the disk does not take is dropped,
 * and its place in the log left out. States: open → closed, after which nothing more comes.
 */
export class LogWriter {
  readonly directory: string;
  readonly #options: LogWriterOptions;
  #fd: number | undefined;
  #fileStart = 0;
  #position = 0;
  #lastNs = 0n;
  #isDropping = false;
  #isClosed = false;
  readonly #waiting = new Set<() => void>();

  /** Goes on with what an earlier writer has left. Throws what the file system does. */
  constructor(options: LogWriterOptions) {
    this.directory = options.directory;
    this.#options = options;
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const last = listLogFiles(this.directory).at(-1);
    if (!last) return;
    this.#fileStart = last.start;
    this.#position = last.end;
    this.#fd = openSync(last.path, 'a+', 0o600);
    const size = withoutTornEntry(this.#fd);
    // What comes behind what is no entry would not be found: it goes into another file.
    if (size === undefined) this.#closeFile();
    else this.#position = last.start + size;
  }

  /** The place after the last entry. */
  get position(): number {
    return this.#position;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  write(stream: OutputStream, chunk: Buffer): void {
    if (this.#isClosed) return;
    formatOutput(stream, this.#now(), chunk, (entries) => this.#append(entries));
    this.wake();
  }

  /** To be asked for before one looks, and disposed of after. */
  nextChange(): NextChange {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    return { promise, [Symbol.dispose]: () => void this.#waiting.delete(resolve) };
  }

  /** Has readers look again. */
  wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  close(): void {
    this.#isClosed = true;
    this.#closeFile();
    this.wake();
  }

  /** Later than any before, so that a reader can go on behind what it has seen. */
  #now(): bigint {
    const now = BigInt(Date.now()) * 1_000_000n;
    this.#lastNs = now > this.#lastNs ? now : this.#lastNs + 1n;
    return this.#lastNs;
  }

  #append(entries: Buffer): void {
    try {
      this.#writeWhole(entries);
      if (this.#isDropping) this.#prune(0);
      this.#isDropping = false;
    } catch (error) {
      if (!this.#isDropping) {
        const subject = { directory: this.directory, error: messageOf(error) };
        this.#options.log.warn(subject, 'log cannot be written, output is dropped');
      }
      this.#isDropping = true;
      this.#leaveFile();
      this.#options.onDropped(entries.length);
    }
    this.#position += entries.length;
  }

  /** All or nothing. */
  #writeWhole(entries: Buffer): void {
    const size = this.#position - this.#fileStart;
    if (this.#fd === undefined || size + entries.length > this.#options.limits.fileBytes) this.#rotate();
    const fd = this.#fd!;
    const before = this.#position - this.#fileStart;
    try {
      for (let written = 0; written < entries.length; ) written += writeSync(fd, entries, written);
    } catch (error) {
      ftruncateSync(fd, before);
      throw error;
    }
  }

  #rotate(): void {
    this.#closeFile();
    // While the disk takes nothing, what it has taken stays.
    if (!this.#isDropping) this.#prune(1);
    this.#fd = openSync(logFilePath(this.directory, this.#position), 'a+', 0o600);
    this.#fileStart = this.#position;
  }

  /** Removes the oldest files, so that there is room for so many more. */
  #prune(more: number): void {
    const files = listLogFiles(this.directory);
    const tooMany = Math.max(0, files.length + more - this.#options.limits.files);
    for (const { path } of files.slice(0, tooMany)) rmSync(path, { force: true });
  }

  /** What comes next has another place in the log than behind this file. */
  #leaveFile(): void {
    const isEmpty = this.#fd !== undefined && this.#fileStart === this.#position;
    this.#closeFile();
    if (isEmpty) rmSync(logFilePath(this.directory, this.#fileStart), { force: true });
  }

  #closeFile(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/**
 * A writer that was killed, or a machine that lost power, may have left the beginning of an entry. Answers the size without it;
 * undefined for a file whose end is longer than an entry, and none.
 */
function withoutTornEntry(fd: number): number | undefined {
  const { size } = fstatSync(fd);
  const tail = Buffer.alloc(Math.min(size, MAX_PIECE_BYTES));
  readSync(fd, tail, 0, tail.length, size - tail.length);
  const newline = tail.lastIndexOf(NEWLINE);
  if (newline < 0 && size > tail.length) return undefined;
  const whole = size - tail.length + newline + 1;
  if (whole < size) ftruncateSync(fd, whole);
  return whole;
}
