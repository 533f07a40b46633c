import { fromBinary } from '@bufbuild/protobuf';
import { messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { isDigest } from '@longshore/oci';
import { type Content, InfoSchema } from '@longshore/proto/containerd/services/content/v1/content';
import { Header } from '@longshore/proto/headers';
import type { Record } from '@longshore/proto/longshore/watch/v1/watch';
import type { ServiceClient } from '@longshore/rpc';
import { SMALL_BLOB_BYTES, type SmallBlobs } from './small-blobs.ts';

/** Manifests and configs nearly always are; an outage must find them here, read before or not. */
const PREFETCHED_BYTES = 64 * 1024;
/** A node that has just joined a large scope fetches what it can while it goes; the rest comes with the first read. */
const MAX_QUEUED = 4_096;
const TIMEOUT_MS = 10_000;

export interface BlobPrefetchOptions {
  content: ServiceClient<typeof Content>;
  /** Name this node. */
  headers: globalThis.Record<string, string>;
  blobs: SmallBlobs;
  log: Logger;
}

/** Fetches small blobs in the background, one after the other. What fails is left to the first read. */
export class BlobPrefetch implements AsyncDisposable {
  readonly #options: BlobPrefetchOptions;
  readonly #stopping = new AbortController();
  /** Digest → namespace that may read it. */
  readonly #queue = new Map<string, string>();
  #working: Promise<void> | undefined;

  constructor(options: BlobPrefetchOptions) {
    this.#options = options;
  }

  /** A listener of the copy. */
  readonly onRecord = ({ kind, namespace, deleted, value }: Record): void => {
    if (kind !== 'content' || deleted || value.length === 0) return;
    const { digest, size } = fromBinary(InfoSchema, value);
    if (size <= PREFETCHED_BYTES) this.want(namespace, digest, Number(size));
  };

  /** Fetches a blob that the namespace holds, if it is small and not here. */
  want(namespace: string, digest: string, sizeBytes: number): void {
    if (sizeBytes === 0 || sizeBytes > SMALL_BLOB_BYTES || this.#queue.size >= MAX_QUEUED) return;
    if (this.#stopping.signal.aborted || this.#options.blobs.has(digest)) return;
    this.#queue.set(digest, namespace);
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    this.#queue.clear();
    await this.#working;
  }

  async #work(): Promise<void> {
    // Who made the record comes first.
    await new Promise((resolve) => setImmediate(resolve));
    for (const [digest, namespace] of this.#queue) {
      this.#queue.delete(digest);
      await this.#fetch(digest, namespace).catch((error) => {
        this.#options.log.debug({ digest, error: messageOf(error) }, 'small blob is not fetched yet');
      });
    }
  }

  async #fetch(digest: string, namespace: string): Promise<void> {
    const { content, headers, blobs } = this.#options;
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const options = { headers: { ...headers, [Header.Namespace]: namespace }, signal };
    const chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const { data } of content.read({ digest }, options)) {
      sizeBytes += data.length;
      if (sizeBytes > SMALL_BLOB_BYTES) return;
      chunks.push(data);
    }
    if (isDigest(digest)) blobs.put(digest, Buffer.concat(chunks));
  }
}
