import { unavailable } from '@longshore/errors';
import type { BlobReader } from '../../domain/blob-store.ts';
import { streamObject } from './object-stream.ts';
import type { S3Bucket } from './s3-bucket.ts';

/** A stream that goes on where the last read has ended. */
interface Flow {
  readonly chunks: AsyncGenerator<Uint8Array>;
  /** Where the next read must begin. */
  position: number;
  rest: Uint8Array;
}

/**
 * Reads an object by ranges. Reads that follow one another, as most do, share one request for all that is left, whose bytes
 * come while nobody waits for them; the first, and any other, asks for its range alone.
 */
export class S3BlobReader implements BlobReader {
  readonly sizeBytes: number;
  readonly #bucket: S3Bucket;
  readonly #key: string;
  readonly #timeoutMs: number;
  /** Where the last read has ended. */
  #nextPosition: number | undefined;
  #flow: Flow | undefined;
  /** Reads of the flow take turns. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(bucket: S3Bucket, key: string, sizeBytes: number, timeoutMs: number) {
    this.#bucket = bucket;
    this.#key = key;
    this.sizeBytes = sizeBytes;
    this.#timeoutMs = timeoutMs;
  }

  read(position: number, lengthBytes: number): Promise<Uint8Array> {
    const end = Math.min(this.sizeBytes, position + lengthBytes);
    const follows = position === this.#nextPosition;
    this.#nextPosition = end;
    if (position >= end) return Promise.resolve(new Uint8Array());
    if (!follows || (end === this.sizeBytes && !this.#flow)) return this.#readAlone(position, end);
    const read = this.#turn.then(() => this.#readOn(position, end));
    this.#turn = read.catch(() => undefined);
    return read;
  }

  async close(): Promise<void> {
    const flow = this.#flow;
    this.#flow = undefined;
    // Not awaited when a read is under way: that one ends with the bytes it waits for.
    void this.#turn.then(() => flow?.chunks.return(undefined)).catch(() => undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #readAlone(start: number, end: number): Promise<Uint8Array> {
    const whole = Buffer.allocUnsafeSlow(end - start);
    let done = 0;
    for await (const chunk of this.#stream(start, end)) {
      whole.set(chunk, done);
      done += chunk.byteLength;
    }
    return whole;
  }

  async #readOn(start: number, end: number): Promise<Uint8Array> {
    if (this.#flow?.position !== start) {
      await this.#flow?.chunks.return(undefined);
      this.#flow = { chunks: this.#stream(start, this.sizeBytes), position: start, rest: new Uint8Array() };
    }
    const flow = this.#flow;
    const whole = Buffer.allocUnsafeSlow(end - start);
    try {
      for (let done = 0; done < whole.byteLength; ) {
        if (flow.rest.byteLength === 0) flow.rest = await nextOf(flow.chunks);
        const taken = flow.rest.subarray(0, whole.byteLength - done);
        whole.set(taken, done);
        flow.rest = flow.rest.subarray(taken.byteLength);
        done += taken.byteLength;
      }
    } catch (error) {
      this.#flow = undefined;
      throw error;
    }
    flow.position = end;
    return whole;
  }

  #stream(start: number, end: number): AsyncGenerator<Uint8Array> {
    return streamObject(this.#bucket, { key: this.#key, start, end }, this.#timeoutMs);
  }
}

async function nextOf(chunks: AsyncGenerator<Uint8Array>): Promise<Uint8Array> {
  const { value, done } = await chunks.next();
  if (done) throw unavailable('object: reading was ended');
  return value;
}
