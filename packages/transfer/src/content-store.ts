import { setTimeout as delay } from 'node:timers/promises';
import { isKind, messageOf, retryDelayMs } from '@longshore/errors';
import { type Digest, parseDigest } from '@longshore/oci';
import type { Content } from '@longshore/proto/containerd/services/content/v1/content';
import type { BlobService, ClaimService, Place } from '@longshore/proto/longshore/content/v1/blobs';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import { Claims } from './claims.ts';
import type { BlobPlace, BlobToStore, Claim, LinkedBlob, OpenBlob, PullStore } from './pull-store.ts';
import { WHILE_AWAY, whileAway } from './while-away.ts';
import { SourceError, writeBlob } from './write-session.ts';

export interface ContentStoreOptions {
  content: ServiceClient<typeof Content>;
  blobs: ServiceClient<typeof BlobService>;
  claims: ServiceClient<typeof ClaimService>;
  /** As in references; whose blobs are claimed. */
  registry: string;
  /** Namespace, node and lease of the pull. */
  options: CallOptions;
}

const ABORT_TIMEOUT_MS = 5_000;

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

  async ingest(
    ref: string,
    blob: BlobToStore,
    open: OpenBlob,
    signal: AbortSignal,
    onOffset?: (offsetBytes: number) => void,
  ): Promise<void> {
    const { content } = this.#parts;
    const options = { ...this.#parts.options, signal };
    let fromStart = false;
    for (let attempt = 1; ; ) {
      try {
        await writeBlob({ content, ref, blob, open, fromStart, options, onOffset });
        return;
      } catch (error) {
        signal.throwIfAborted();
        const verdict = verdictOn(error);
        if (verdict === 'wrong' || verdict === 'unlike') await this.forget(ref);
        // Bytes that somebody else has left may not be those of this blob: once more, with none of them.
        const mayRetry =
          verdict === 'locked' ||
          (verdict === 'later' && attempt < WHILE_AWAY.attempts) ||
          (verdict === 'unlike' && !fromStart);
        if (!mayRetry) throw error instanceof SourceError ? error.cause : error;
        fromStart ||= verdict === 'unlike';
        await delay(retryDelayMs(WHILE_AWAY, attempt), undefined, { signal });
        // Another writer is no failure of ours: it ends some time.
        if (verdict !== 'locked') attempt += 1;
      }
    }
  }

  async forget(ref: string): Promise<void> {
    const { content, options } = this.#parts;
    const deadline = new Date(Date.now() + ABORT_TIMEOUT_MS);
    await content.abort({ ref }, { headers: options.headers, deadline }).catch(() => undefined);
  }
}

/**
 * `wrong`: never to be tried again, and what has come is to be forgotten; `unlike`: what was stored does not fit the
 * digest; `locked`: another writes it; `later`: the service is away.
 */
function verdictOn(error: unknown): 'wrong' | 'unlike' | 'locked' | 'later' | 'final' {
  if (error instanceof SourceError) return isKind(error.cause, 'DataLoss') ? 'wrong' : 'final';
  if (isKind(error, 'FailedPrecondition')) return 'unlike';
  if (!isKind(error, 'Unavailable')) return 'final';
  return messageOf(error).includes('locked') ? 'locked' : 'later';
}

export function placeFromProto(place: Place | undefined): BlobPlace | undefined {
  if (!place) return undefined;
  const { file, url, objectStore } = place;
  return { file, url, ...(objectStore && { objectStore: { ca: objectStore.ca } }) };
}
