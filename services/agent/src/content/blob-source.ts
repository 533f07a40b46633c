import { access, constants, readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { LongshoreError } from '@longshore/errors';
import { algorithmOf, type Digest, digestOf } from '@longshore/oci';
import type { Content } from '@longshore/proto/containerd/services/content/v1/content';
import type { BlobService } from '@longshore/proto/longshore/content/v1/blobs';
import { type Opened, readResumed } from '@longshore/registry';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import { type BlobPlace, placeFromProto } from '@longshore/transfer';
import type { LayerSource } from '../diff/apply.ts';
import type { BlobCache } from './blob-cache.ts';
import type { BlobUrls } from './blob-urls.ts';

/** A blob that the caller's scope is known to hold. */
export interface HeldBlob {
  digest: Digest;
  sizeBytes: number;
  /** As the content service told it; `undefined` when it was not asked. */
  place: BlobPlace | undefined;
}

/** A blob that can be read now. To be closed when it was. */
export interface OpenedBlob {
  /** A file, or a new stream, which is to be read to its end or destroyed. */
  source(): LayerSource;
  close(): void;
}

export interface BlobSourceOptions {
  blobs: ServiceClient<typeof BlobService>;
  content: ServiceClient<typeof Content>;
  cache: BlobCache;
  urls: BlobUrls;
}

/** The content service reads hundreds of megabytes in a second. */
const DOUBT_MS = 30_000;
/** Configs and manifests; whoever sends more wants our memory. */
const MAX_SMALL_BYTES = 8 * 1024 * 1024;

/**
 * The bytes of blobs, from where they can be had with the least effort: a file of this host, this node's cache, the
 * content service's URL, or its API. Bytes from the network are verified; those of a file by whoever reads it.
 */
export class BlobSource {
  readonly #parts: BlobSourceOptions;

  constructor(parts: BlobSourceOptions) {
    this.#parts = parts;
  }

  /** Throws NotFound for a blob that the scope of `options` does not hold. */
  async locate(digest: Digest, options: CallOptions): Promise<HeldBlob> {
    const { size, place } = await this.#parts.blobs.locate({ digest }, options);
    return { digest, sizeBytes: Number(size), place: placeFromProto(place) };
  }

  /** Resolves when the blob is on this host; one that is too large for the cache is streamed when it is read. */
  async open(blob: HeldBlob, options: CallOptions): Promise<OpenedBlob> {
    const { cache } = this.#parts;
    const { digest } = blob;
    const known = blob.place ? undefined : cache.find(digest);
    if (known) return { source: () => ({ path: known.path, digest }), close: () => known.close() };
    const located = blob.place ? blob : await this.locate(blob.digest, options);
    const file = located.place?.file ?? '';
    if (await isReadable(file)) return { source: () => ({ path: file, digest }), close: () => undefined };
    const signal = options.signal ?? new AbortController().signal;
    // Others may wait for the same fetch: it does not end with this caller.
    const fetch = (until: AbortSignal) =>
      this.#read(located, { ...options, signal: until, deadline: undefined });
    const cached = await cache.get(digest, located.sizeBytes, fetch, signal);
    if (cached) return { source: () => ({ path: cached.path, digest }), close: () => cached.close() };
    return {
      source: () => Readable.from(this.#read(located, options), { objectMode: false }),
      close: () => undefined,
    };
  }

  /** The whole of a manifest or config. Throws ResourceExhausted for one that is none by its size. */
  async readSmall(blob: HeldBlob, options: CallOptions): Promise<Buffer> {
    const known = blob.place ? undefined : this.#parts.cache.find(blob.digest);
    using _ = { [Symbol.dispose]: () => known?.close() };
    const located = blob.place || known ? blob : await this.locate(blob.digest, options);
    if (located.sizeBytes > MAX_SMALL_BYTES) {
      throw new LongshoreError(
        'ResourceExhausted',
        `blob ${blob.digest} is larger than ${MAX_SMALL_BYTES} bytes`,
      );
    }
    const file = known?.path ?? located.place?.file ?? '';
    if (!(await isReadable(file))) return buffer(this.#read(located, options));
    const bytes = await readFile(file);
    if (digestOf(bytes, algorithmOf(blob.digest)) === blob.digest) return bytes;
    await this.doubt(blob.digest, options);
    throw new LongshoreError('DataLoss', `blob ${blob.digest}: its file holds other bytes: data loss`);
  }

  /**
   * For whoever found a blob's bytes to be wrong: this node forgets its own, and the content service reads those that it has. If
   * they are wrong they are in quarantine from then on, and the next pull fetches them anew.
   */
  async doubt(digest: Digest, { headers }: CallOptions): Promise<void> {
    const { cache, blobs } = this.#parts;
    await cache.forget(digest);
    // A service that does not answer finds out by itself, later.
    await blobs
      .verify({ digest }, { headers, deadline: new Date(Date.now() + DOUBT_MS) })
      .catch(() => undefined);
  }

  #read({ digest, sizeBytes, place }: HeldBlob, options: CallOptions): AsyncGenerator<Buffer> {
    const { urls } = this.#parts;
    let by = place;
    let wasOfUse = false;
    const open = async (offsetBytes: number): Promise<Opened> => {
      while (urls.canRead(by)) {
        try {
          const opened = await urls.open(by, offsetBytes, options.signal);
          wasOfUse = true;
          return opened;
        } catch {
          options.signal?.throwIfAborted();
          // One that has expired while it was in use can be had anew; one that is not to be reached from here is left alone:
          // the API always is.
          const anew = wasOfUse ? await this.locate(digest, options).catch(() => undefined) : undefined;
          by = anew?.place;
          wasOfUse = false;
        }
      }
      return { startBytes: offsetBytes, bytes: this.#readApi(digest, offsetBytes, options) };
    };
    const expected = { digest, sizeBytes };
    return readResumed({ subject: 'the content service', expected, open, signal: options.signal });
  }

  async *#readApi(digest: Digest, offsetBytes: number, options: CallOptions): AsyncIterable<Uint8Array> {
    const request = { digest, offset: BigInt(offsetBytes) };
    for await (const { data } of this.#parts.content.read(request, options)) yield data;
  }
}

async function isReadable(path: string): Promise<boolean> {
  if (path === '') return false;
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}
