import { once } from 'node:events';
import { type Digest, digestOf } from '@longshore/oci';
import type { BlobToStore, Claim, LinkedBlob, OpenBlob, PullStore } from '../pull-store.ts';

/** Blobs and claims that several stores share, as nodes of a fleet do. */
export class MemoryFleet {
  readonly blobs = new Map<Digest, Buffer>();
  /** Who holds the claim on a digest. */
  readonly claims = new Map<Digest, MemoryStore>();
  readonly released = new EventTarget();
}

/** A scope in memory. */
export class MemoryStore implements PullStore {
  readonly content = new Map<Digest, Record<string, string>>();
  /** Bytes of unfinished ingests. */
  readonly ingests = new Map<string, Buffer>();
  /** Calls that a service would have got, by what they are. */
  readonly calls: string[] = [];
  readonly #fleet: MemoryFleet;

  constructor(fleet: MemoryFleet) {
    this.#fleet = fleet;
  }

  async link(blobs: readonly BlobToStore[]): Promise<LinkedBlob[]> {
    this.calls.push('link');
    return blobs.map(({ descriptor: { digest, size }, labels }) => {
      const isLinked = this.#fleet.blobs.has(digest);
      if (isLinked) this.content.set(digest, { ...labels, ...this.content.get(digest) });
      return { digest, isLinked, sizeBytes: size, place: undefined };
    });
  }

  async claim(digest: Digest, signal: AbortSignal): Promise<Claim | 'stored'> {
    this.calls.push('claim');
    const { blobs, claims, released } = this.#fleet;
    while (claims.has(digest)) await once(released, digest, { signal });
    if (blobs.has(digest)) return 'stored';
    claims.set(digest, this);
    return {
      lost: new AbortController().signal,
      report: () => undefined,
      release: async () => {
        claims.delete(digest);
        released.dispatchEvent(new Event(digest));
      },
    };
  }

  async ingest(
    ref: string,
    { descriptor, labels }: BlobToStore,
    open: OpenBlob,
    signal: AbortSignal,
    onOffset?: (offsetBytes: number) => void,
  ): Promise<void> {
    this.calls.push('ingest');
    let bytes = this.ingests.get(ref) ?? Buffer.alloc(0);
    for await (const chunk of open(bytes.length)) {
      signal.throwIfAborted();
      bytes = Buffer.concat([bytes, chunk]);
      this.ingests.set(ref, bytes);
      onOffset?.(bytes.length);
    }
    if (digestOf(bytes) !== descriptor.digest) throw new Error('the store was given wrong bytes');
    this.ingests.delete(ref);
    this.#fleet.blobs.set(descriptor.digest, bytes);
    this.content.set(descriptor.digest, labels);
  }

  async forget(ref: string): Promise<void> {
    this.ingests.delete(ref);
  }
}
