import { type Digest, parseDigest } from '@longshore/oci';
import type { Content } from '@longshore/proto/containerd/services/content/v1/content';
import type { BlobService, ClaimService, Place } from '@longshore/proto/longshore/content/v1/blobs';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import { Claims } from './claims.ts';
import { forgetIngest, ingestBlob } from './ingest-blob.ts';
import type { BlobPlace, BlobToStore, Claim, LinkedBlob, OpenBlob, PullStore } from './pull-store.ts';
import { whileAway } from './while-away.ts';

export interface ContentStoreOptions {
  content: ServiceClient<typeof Content>;
  blobs: ServiceClient<typeof BlobService>;
  claims: ServiceClient<typeof ClaimService>;
  /** As in references; whose blobs are claimed. */
  registry: string;
  /** Namespace, node and lease of the pull. */
  options: CallOptions;
}

/** A scope of the content service, over gRPC. */
export class ContentStore implements PullStore {
  readonly #parts: ContentStoreOptions;
  readonly #claims: Claims;

  constructor(parts: ContentStoreOptions) {
    this.#parts = parts;
    this.#claims = new Claims(parts.claims, parts.registry, parts.options);
  }

  async link(blobs: readonly BlobToStore[], signal: AbortSignal): Promise<LinkedBlob[]> {
    const { blobs: client, options } = this.#parts;
    const request = blobs.map(({ descriptor: { digest, size }, labels }) => ({
      digest,
      size: BigInt(size),
      labels,
    }));
    const answer = await whileAway(signal, () => client.link({ blobs: request }, { ...options, signal }));
    return answer.blobs.map(({ digest, linked, size, place }) => ({
      digest: parseDigest(digest),
      isLinked: linked,
      sizeBytes: Number(size),
      place: placeFromProto(place),
    }));
  }

  claim(
    digest: Digest,
    signal: AbortSignal,
    onWait: (offsetBytes: number) => void,
  ): Promise<Claim | 'stored'> {
    return this.#claims.acquire(digest, signal, onWait);
  }

  ingest(
    ref: string,
    blob: BlobToStore,
    open: OpenBlob,
    signal: AbortSignal,
    onOffset?: (offsetBytes: number) => void,
  ): Promise<void> {
    const { content, options } = this.#parts;
    return ingestBlob({ content, options, ref, blob, open, signal, onOffset });
  }

  forget(ref: string): Promise<void> {
    return forgetIngest(this.#parts.content, ref, this.#parts.options);
  }
}

export function placeFromProto(place: Place | undefined): BlobPlace | undefined {
  if (!place) return undefined;
  const { file, url, objectStore } = place;
  return { file, url, ...(objectStore && { objectStore: { ca: objectStore.ca } }) };
}
