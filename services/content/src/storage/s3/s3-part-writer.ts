import { LongshoreError } from '@longshore/errors';
import type { BlobName, PartWriter } from '../../domain/blob-store.ts';
import { composeObject } from './compose.ts';
import { PartBuffer } from './part-buffer.ts';
import { partKey } from './part-names.ts';
import { MAX_BLOB_BYTES, MAX_PARTS, partSizeBytes, WRITER_BUDGET_BYTES } from './part-sizes.ts';
import type { ObjectRange, S3Bucket } from './s3-bucket.ts';

/** Where a writer writes. */
export interface PartHome {
  readonly bucket: S3Bucket;
  /** What the keys of the ingest's parts begin with. */
  readonly directory: string;
  readonly epoch: bigint;
  keyOf(name: BlobName): string;
  /** Called once a blob is published of which no part was ever stored. */
  onPublishedWhole(): void;
}

/** A part on its way to the store. */
interface Flight {
  readonly start: number;
  readonly sizeBytes: number;
  /** Never rejects. */
  readonly done: Promise<void>;
}

/**
 * Gathers bytes in memory, and stores each part when it is full, a few at a time. What is below a part's size becomes durable
 * by short objects, which go once the whole part is there.
 */
export class S3PartWriter implements PartWriter {
  readonly #home: PartHome;
  /** Full parts, in order; the last ones may be in flight. */
  #parts: ObjectRange[] = [];
  readonly #flights = new Set<Flight>();
  #filling = new PartBuffer();
  #fillingStart = 0;
  /** How far the part that is filling is stored in short objects. */
  #durableEnd = 0;
  /** Their keys. */
  #shorts: string[] = [];
  #run = 0;
  #failure: unknown;
  #flushing: Promise<unknown> = Promise.resolve();
  #hasStored = false;
  #isClosed = false;
  #closing: Promise<void> = Promise.resolve();

  constructor(home: PartHome) {
    this.#home = home;
  }

  get sizeBytes(): number {
    return this.#fillingStart + this.#filling.sizeBytes;
  }

  /** Whether nothing is gathered, so that a part of somebody else could follow. */
  get isAligned(): boolean {
    return this.#filling.sizeBytes === 0;
  }

  /** Goes on behind a part that an earlier writer has stored. Only while aligned. */
  adopt(part: ObjectRange): void {
    if (this.#parts.length === MAX_PARTS) throw tooLarge();
    this.#parts.push(part);
    this.#fillingStart += part.end - part.start;
    this.#durableEnd = this.#fillingStart;
    this.#hasStored = true;
  }

  /** Takes bytes that an earlier writer has stored in an object that is too short to be a part. */
  async keep(bytes: Uint8Array): Promise<void> {
    await this.write(bytes);
    this.#durableEnd = this.sizeBytes;
  }

  /** All of the bytes of an earlier writer's short object were kept. */
  supersede(key: string): void {
    this.#shorts.push(key);
    this.#hasStored = true;
  }

  async write(data: Uint8Array): Promise<void> {
    for (let done = 0; done < data.byteLength; ) {
      this.#throwIfFailed();
      const partSize = partSizeBytes(this.#parts.length);
      if (partSize === undefined) throw tooLarge();
      const freeBytes = WRITER_BUDGET_BYTES - this.#filling.sizeBytes - this.#flightBytes();
      if (freeBytes <= 0) {
        await Promise.race([...this.#flights].map((flight) => flight.done));
        continue;
      }
      const length = Math.min(data.byteLength - done, partSize - this.#filling.sizeBytes, freeBytes);
      this.#filling.append(data.subarray(done, done + length));
      done += length;
      if (this.#filling.sizeBytes === partSize) this.#launch();
    }
  }

  async flush(): Promise<number> {
    const [end, run] = [this.sizeBytes, this.#run];
    if (this.#isClosed) return end;
    const flushed = this.#flushing.then(() => this.#flushTo(end, run));
    this.#flushing = flushed.catch(() => undefined);
    await flushed;
    return end;
  }

  async truncate(): Promise<void> {
    this.#run += 1;
    await this.#settle();
    this.#discard([...this.#parts.map(({ key }) => key), ...this.#shorts]);
    this.#filling.release();
    this.#parts = [];
    this.#filling = new PartBuffer();
    this.#fillingStart = 0;
    this.#durableEnd = 0;
    this.#shorts = [];
    this.#failure = undefined;
  }

  async publish(name: BlobName): Promise<void> {
    const { bucket } = this.#home;
    this.#isClosed = true;
    try {
      await this.#settle();
      this.#throwIfFailed();
      const tail = this.#filling.slice(0, this.#filling.sizeBytes);
      const key = this.#home.keyOf(name);
      const composition = { sources: this.#parts, tail, sizeBytes: this.sizeBytes };
      if (this.#parts.length === 0) await bucket.put(key, tail);
      else await composeObject(bucket, key, composition);
      if (!this.#hasStored) this.#home.onPublishedWhole();
    } finally {
      this.#filling.release();
    }
  }

  close(): Promise<void> {
    if (this.#isClosed) return this.#closing;
    this.#closing = this.flush()
      .then(() => undefined)
      .finally(() => this.#settle())
      .finally(() => this.#filling.release());
    this.#isClosed = true;
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Sends the part that is full, and begins the next one. */
  #launch(): void {
    const { bucket, directory, epoch } = this.#home;
    const [part, start, shorts] = [this.#filling, this.#fillingStart, this.#shorts];
    const end = start + part.sizeBytes;
    const key = partKey(directory, { epoch, run: this.#run, start, end });
    this.#hasStored = true;
    this.#parts.push({ key, start: 0, end: part.sizeBytes });
    const stored = bucket.put(key, part.slice(0, part.sizeBytes)).then(
      () => this.#discard(shorts),
      (error) => (this.#failure ??= error),
    );
    const flight: Flight = {
      start,
      sizeBytes: part.sizeBytes,
      done: stored.then(() => {
        part.release();
        this.#flights.delete(flight);
      }),
    };
    this.#flights.add(flight);
    this.#filling = new PartBuffer();
    this.#fillingStart = end;
    this.#durableEnd = end;
    this.#shorts = [];
  }

  /** Bytes may be written, and parts launched, at any await. */
  async #flushTo(end: number, run: number): Promise<void> {
    for (;;) {
      this.#throwIfFailed();
      const before = [...this.#flights].filter(({ start }) => start < end);
      if (before.length === 0) break;
      await Promise.all(before.map(({ done }) => done));
    }
    if (run === this.#run && this.#fillingStart < end && this.#durableEnd < end) await this.#storeShort();
  }

  async #storeShort(): Promise<void> {
    const { bucket, directory, epoch } = this.#home;
    const [part, base, start, end] = [this.#filling, this.#fillingStart, this.#durableEnd, this.sizeBytes];
    const key = partKey(directory, { epoch, run: this.#run, start, end });
    this.#hasStored = true;
    this.#shorts.push(key);
    part.retain();
    try {
      await bucket.put(key, part.slice(start - base, end - base));
    } finally {
      part.release();
    }
    if (this.#filling === part) this.#durableEnd = end;
  }

  #flightBytes(): number {
    let sum = 0;
    for (const { sizeBytes } of this.#flights) sum += sizeBytes;
    return sum;
  }

  async #settle(): Promise<void> {
    await this.#flushing;
    await Promise.all([...this.#flights].map(({ done }) => done));
  }

  /** What stays is removed with the ingest. */
  #discard(keys: readonly string[]): void {
    this.#home.bucket.removeAll(keys).catch(() => undefined);
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}

function tooLarge(): LongshoreError {
  return new LongshoreError(
    'ResourceExhausted',
    `blob has more than ${MAX_BLOB_BYTES} bytes: resource exhausted`,
  );
}
