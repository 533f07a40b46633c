import { type FileHandle, open } from 'node:fs/promises';
import type { Digest } from '@longshore/oci';
import { FileVerifier } from './file-verifier.ts';

/** What is read at a time for who reads on: many clients ask for 32 KiB in each call. */
const BLOCK_BYTES = 256 * 1024;
/** Of one file; each has two blocks at most. */
const MAX_READERS = 4;

/** Where somebody who reads on is. */
interface Reader {
  /** Ends his last read. */
  next: number;
  /** Bytes that were read ahead, and where they begin. */
  start: number;
  block: Buffer | undefined;
  /** The block behind that one. */
  ahead: Promise<Buffer> | undefined;
}

/**
 * A blob in a file of this host. Reads that follow one another are answered from blocks that are read ahead. The last byte
 * is given out only when all of the file was read here and has the right digest.
 */
export class LocalFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #file: FileHandle;
  readonly #verifier: FileVerifier;
  /** The last one to read is the last. */
  #readers: Reader[] = [];
  #users = 0;
  #isClosed = false;

  private constructor(path: string, file: FileHandle, digest: Digest, sizeBytes: number) {
    this.path = path;
    this.sizeBytes = sizeBytes;
    this.#file = file;
    this.#verifier = new FileVerifier(digest, sizeBytes, (position, length) => this.#load(position, length));
  }

  /** Undefined when there is no such file here, or not one of this size. */
  static async open(path: string, digest: Digest, sizeBytes: number): Promise<LocalFile | undefined> {
    const file = await open(path, 'r').catch(() => undefined);
    if (!file) return undefined;
    const stats = await file.stat().catch(() => undefined);
    if (stats?.isFile() && stats.size === sizeBytes) return new LocalFile(path, file, digest, sizeBytes);
    await file.close();
    return undefined;
  }

  /**
   * Bytes from `start` on, up to `end` or fewer, but one at least; at once when they were read ahead. Undefined when the
   * file is not what it should be, or cannot be read, or is closed.
   */
  read(start: number, end: number): Uint8Array | Promise<Uint8Array | undefined> {
    const reader = this.#readers.find(({ next }) => next === start);
    const data = reader && fromBlock(reader, end);
    if (reader && data && reader.next < this.sizeBytes) return data;
    return this.#use(() => this.#readOn(start, end, reader, data));
  }

  /** Whether it cannot be read any more; that says nothing of its bytes. */
  get isClosed(): boolean {
    return this.#isClosed && this.#users === 0;
  }

  /** Whoever reads for long keeps it open, whoever closes it, until this is disposed of. Undefined when it is closed. */
  hold(): Disposable | undefined {
    if (this.isClosed) return undefined;
    this.#users += 1;
    return { [Symbol.dispose]: () => this.#release() };
  }

  /** Closes the file once nobody reads it any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#readers = [];
    if (this.#users === 0) await this.#file.close().catch(() => undefined);
  }

  async #use<T>(work: () => Promise<T>): Promise<T | undefined> {
    using held = this.hold();
    if (!held) return undefined;
    try {
      return await work();
    } catch {
      return undefined;
    }
  }

  #release(): void {
    this.#users -= 1;
    if (this.#isClosed) void this.close();
  }

  async #readOn(start: number, end: number, reader: Reader | undefined, known: Uint8Array | undefined) {
    const data = known ?? (await this.#readFrom(start, end, reader));
    const isRight = start + data.byteLength < this.sizeBytes || (await this.#verifier.isRight());
    return isRight ? data : undefined;
  }

  /** Who reads here may read on. What he wants is read alone, unless he does, or it is the beginning. */
  async #readFrom(start: number, end: number, known: Reader | undefined): Promise<Uint8Array> {
    const reader = known ?? { next: start, start, block: undefined, ahead: undefined };
    // Until he has got it, another one who reads here is another reader.
    this.#readers = this.#readers.filter((other) => other !== reader);
    let data: Uint8Array;
    if (known || start === 0) data = await this.#advance(reader, end);
    else {
      data = await this.#load(start, Math.min(end - start, BLOCK_BYTES));
      reader.next = start + data.byteLength;
    }
    this.#readers.push(reader);
    if (this.#readers.length > MAX_READERS) this.#readers.shift();
    return data;
  }

  async #advance(reader: Reader, end: number): Promise<Uint8Array> {
    const position = reader.next;
    const block = await (reader.ahead ?? this.#load(position, BLOCK_BYTES));
    Object.assign(reader, { start: position, block, ahead: undefined });
    const behind = position + block.byteLength;
    if (behind < this.sizeBytes) {
      reader.ahead = this.#load(behind, BLOCK_BYTES);
      // Awaited by the read that wants it.
      reader.ahead.catch(() => undefined);
    }
    return fromBlock(reader, end) ?? block.subarray(0, 0);
  }

  async #load(position: number, lengthBytes: number): Promise<Buffer> {
    const length = Math.min(lengthBytes, this.sizeBytes - position);
    const buffer = Buffer.allocUnsafeSlow(length);
    for (let done = 0; done < length; ) {
      const { bytesRead } = await this.#file.read(buffer, done, length - done, position + done);
      if (bytesRead === 0) throw new Error(`${this.path} ends early`);
      done += bytesRead;
    }
    this.#verifier.push(position, buffer);
    return buffer;
  }
}

/** Undefined when the block ends where the read begins. */
function fromBlock(reader: Reader, end: number): Uint8Array | undefined {
  const { block, start, next } = reader;
  if (!block || next >= start + block.byteLength) return undefined;
  const data = block.subarray(next - start, end - start);
  reader.next = next + data.byteLength;
  return data;
}
