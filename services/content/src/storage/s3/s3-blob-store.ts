import { isKind, unavailable } from '@longshore/errors';
import { algorithmOf, encodedOf, isDigest } from '@longshore/oci';
import type {
  BlobName,
  BlobPlace,
  BlobReader,
  BlobStore,
  PartWriter,
  StoredBytes,
} from '../../domain/blob-store.ts';
import { streamObject } from './object-stream.ts';
import { chainOf } from './part-chain.ts';
import { parsePart, type StoredPart } from './part-names.ts';
import { MIN_PART_BYTES } from './part-sizes.ts';
import { S3BlobReader } from './s3-blob-reader.ts';
import { type ObjectRange, S3Bucket } from './s3-bucket.ts';
import type { S3Options } from './s3-options.ts';
import { S3PartWriter } from './s3-part-writer.ts';

/** A writer that is still at work replaces short objects by their part while they are taken over from it. */
const TAKE_OVER_LOOKS = 3;
/** Ingests of which is known that nothing is stored; forgotten ones cost a request. */
const MAX_WHOLE = 10_000;

/**
 * Bytes in a bucket: `blobs/<algorithm>/<hex>/<generation>` and
 * `ingests/<ingest uid>/<epoch>.<run>/<first byte>-<length>`, both behind the prefix.
 */
export class S3BlobStore implements BlobStore {
  readonly #bucket: S3Bucket;
  readonly #options: S3Options;
  readonly #whole = new Set<string>();

  /** Connects to nothing. Any number may share a bucket and prefix. */
  constructor(options: S3Options) {
    this.#options = options;
    this.#bucket = new S3Bucket(options);
  }

  /** Throws Unavailable when the bucket is not there or not ours to use. */
  check(): Promise<void> {
    return this.#bucket.check();
  }

  close(): void {
    this.#bucket.close();
  }

  async openWriter(
    ingest: string,
    epoch: bigint,
    keepBytes: number,
    seen: (chunk: Uint8Array) => void,
  ): Promise<PartWriter> {
    const directory = this.#ingestDirectory(ingest);
    const writer = new S3PartWriter({
      bucket: this.#bucket,
      directory,
      epoch,
      keyOf: (name) => this.#blobKey(name),
      onPublishedWhole: () => epoch === 1n && this.#rememberWhole(ingest),
    });
    if (epoch > 1n) await this.#takeOver(directory, epoch, keepBytes, writer, seen);
    return writer;
  }

  async open(name: BlobName): Promise<BlobReader> {
    const key = this.#blobKey(name);
    const sizeBytes = await this.#bucket.sizeOf(key);
    return new S3BlobReader(this.#bucket, key, sizeBytes, this.#options.timeoutMs);
  }

  async locate(name: BlobName, lifetimeMs: number): Promise<BlobPlace> {
    const expiresAt = new Date(Date.now() + lifetimeMs);
    const url = await this.#bucket.presign(this.#blobKey(name), lifetimeMs);
    return { kind: 'url', url, expiresAt, ca: this.#options.ca };
  }

  removeBlob(name: BlobName): Promise<void> {
    return this.#bucket.remove(this.#blobKey(name));
  }

  async removeIngest(ingest: string): Promise<void> {
    if (this.#whole.delete(ingest)) return;
    const objects = await Array.fromAsync(this.#bucket.list(this.#ingestDirectory(ingest)));
    await this.#bucket.removeAll(objects.map(({ key }) => key));
  }

  async *list(): AsyncGenerator<StoredBytes> {
    yield* this.#listIngests();
    const directory = `${this.#options.prefix}blobs/`;
    for await (const { key, changedAt } of this.#bucket.list(directory)) {
      const [algorithm, hex, generation] = key.slice(directory.length).split('/');
      const digest = `${algorithm}:${hex}`;
      if (generation !== undefined && isDigest(digest)) yield { digest, generation, changedAt };
    }
  }

  async discardUnfinished(before: Date): Promise<void> {
    for await (const { key, id, startedAt } of this.#bucket.openUploads(`${this.#options.prefix}blobs/`)) {
      if (startedAt < before) await this.#bucket.abortUpload(key, id);
    }
  }

  /** An ingest's parts come one behind the other. */
  async *#listIngests(): AsyncGenerator<StoredBytes> {
    const directory = `${this.#options.prefix}ingests/`;
    let ingest: StoredBytes | undefined;
    for await (const { key, changedAt } of this.#bucket.list(directory)) {
      const generation = key.slice(directory.length).split('/')[0] ?? '';
      if (ingest && ingest.generation !== generation) yield ingest;
      const isNewer = ingest?.generation !== generation || changedAt > ingest.changedAt;
      if (isNewer) ingest = { digest: undefined, generation, changedAt };
    }
    if (ingest) yield ingest;
  }

  /** Goes on behind what earlier writers have stored, after reading all of it. */
  async #takeOver(
    directory: string,
    epoch: bigint,
    keepBytes: number,
    writer: S3PartWriter,
    seen: (chunk: Uint8Array) => void,
  ): Promise<void> {
    const used = new Set<string>();
    let earlier = await this.#earlierParts(directory, epoch);
    for (let looks = 1; writer.sizeBytes < keepBytes; ) {
      const [next] = chainOf(earlier, keepBytes, writer.sizeBytes);
      if (!next) break;
      const isThere = await this.#takeOverPart(next, writer, seen);
      if (isThere) used.add(next.key);
      else if (looks++ === TAKE_OVER_LOOKS) throw unavailable(`parts below ${directory} come and go`);
      else earlier = await this.#earlierParts(directory, epoch);
    }
    const unused = earlier.map(({ key }) => key).filter((key) => !used.has(key));
    await this.#bucket.removeAll(unused).catch(() => undefined);
  }

  /** False when the object has gone. */
  async #takeOverPart(
    range: ObjectRange,
    writer: S3PartWriter,
    seen: (chunk: Uint8Array) => void,
  ): Promise<boolean> {
    const isPart = range.end - range.start >= MIN_PART_BYTES && writer.isAligned;
    let isBegun = false;
    try {
      for await (const chunk of streamObject(this.#bucket, range, this.#options.timeoutMs)) {
        isBegun = true;
        seen(chunk);
        if (!isPart) await writer.keep(chunk);
      }
    } catch (error) {
      if (isBegun || !isKind(error, 'NotFound')) throw error;
      return false;
    }
    if (isPart) writer.adopt(range);
    else writer.supersede(range.key);
    return true;
  }

  async #earlierParts(directory: string, epoch: bigint): Promise<StoredPart[]> {
    const objects = await Array.fromAsync(this.#bucket.list(directory));
    const parts = objects.map(parsePart).filter((part) => part !== undefined);
    return parts.filter((part) => part.epoch < epoch);
  }

  #rememberWhole(ingest: string): void {
    if (this.#whole.size === MAX_WHOLE) this.#whole.clear();
    this.#whole.add(ingest);
  }

  #blobKey({ digest, generation }: BlobName): string {
    return `${this.#options.prefix}blobs/${algorithmOf(digest)}/${encodedOf(digest)}/${generation}`;
  }

  #ingestDirectory(ingest: string): string {
    return `${this.#options.prefix}ingests/${ingest}/`;
  }
}
