import type { Digest } from '@longshore/oci';
import type { BlobToStore, Claim, LinkedBlob, OpenBlob, PullStore } from '@longshore/transfer';
import type { BlobCache } from '../content/blob-cache.ts';

/** A store that keeps what passes through it in this node's cache, from where it will be unpacked. */
export class KeepingStore implements PullStore {
  readonly #store: PullStore;
  readonly #cache: BlobCache;

  constructor(store: PullStore, cache: BlobCache) {
    this.#store = store;
    this.#cache = cache;
  }

  link(blobs: readonly BlobToStore[], signal: AbortSignal): Promise<LinkedBlob[]> {
    return this.#store.link(blobs, signal);
  }

  claim(
    digest: Digest,
    signal: AbortSignal,
    onWait: (offsetBytes: number) => void,
  ): Promise<Claim | 'stored'> {
    return this.#store.claim(digest, signal, onWait);
  }

  ingest(
    ref: string,
    blob: BlobToStore,
    open: OpenBlob,
    signal: AbortSignal,
    onOffset?: (offsetBytes: number) => void,
  ): Promise<void> {
    const { digest, size } = blob.descriptor;
    // Of a blob that is resumed only the rest passes.
    const openKept: OpenBlob = (offsetBytes) =>
      offsetBytes === 0 ? this.#cache.keep(digest, size, open(0)) : open(offsetBytes);
    return this.#store.ingest(ref, blob, openKept, signal, onOffset);
  }

  forget(ref: string): Promise<void> {
    return this.#store.forget(ref);
  }
}
