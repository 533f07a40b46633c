import { closeSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** A log file is at most this big; then it becomes `<name>.1`, in place of the one before. */
const MAX_LOG_BYTES = 16 * 1024 * 1024;
/** What is kept at hand to explain why a process ended. */
const TAIL_CHARS = 4096;

/** A file that collects the output of a process, also over its restarts, and never takes more than twice 16 MiB. */
export class BoundedLog {
  readonly path: string;
  readonly #maxBytes: number;
  #fd: number | undefined;
  #sizeBytes = 0;
  #tail = '';

  constructor(path: string, maxBytes = MAX_LOG_BYTES) {
    this.path = path;
    this.#maxBytes = maxBytes;
  }

  write(chunk: Buffer): void {
    this.#tail = (this.#tail + chunk.toString()).slice(-TAIL_CHARS);
    if (this.#sizeBytes + chunk.length > this.#maxBytes) this.#turnOver();
    this.#fd ??= this.#open();
    this.#sizeBytes += writeSync(this.#fd, chunk);
  }

  /** The last 4096 characters that were written. */
  tail(): string {
    return this.#tail;
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #open(): number {
    mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
    const fd = openSync(this.path, 'a', 0o600);
    this.#sizeBytes = statSync(this.path).size;
    return fd;
  }

  #turnOver(): void {
    this.#fd ??= this.#open();
    this.close();
    renameSync(this.path, `${this.path}.1`);
    this.#sizeBytes = 0;
  }
}
