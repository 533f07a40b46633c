import { setTimeout as delay } from 'node:timers/promises';
import { type RetryPolicy, retryDelayMs, unavailable } from '@longshore/errors';
import type { BlobPlace, BlobToStore, OpenBlob, PullStore } from './pull-store.ts';
import { refKey } from './ref-key.ts';

/** How far a blob is. `exists` and `done` are the ends. */
export type BlobStatus = 'waiting' | 'fetching' | 'done' | 'exists';

export interface FetchBlob {
  blob: BlobToStore;
  store: PullStore;
  /** Opens the blob in the registry, with the caller's own credentials. */
  open(offsetBytes: number, signal: AbortSignal): AsyncIterable<Buffer>;
  signal: AbortSignal;
  onStatus(status: BlobStatus, offsetBytes: number): void;
}

/** For claims that get lost and blobs that vanish between two questions. */
const RETRY: RetryPolicy = { initialDelayMs: 200, maxDelayMs: 5_000, attempts: 8 };

/**
 * Brings one blob into the store: fetches it when the claim is ours, and otherwise waits for whoever has it and links
 * what that one stored. Answers where the bytes are when it was told.
 */
export async function fetchBlob(fetch: FetchBlob): Promise<BlobPlace | undefined> {
  const { blob, store, signal, onStatus } = fetch;
  const { digest } = blob.descriptor;
  for (let attempt = 1; attempt <= RETRY.attempts; attempt++) {
    onStatus('waiting', 0);
    const claim = await store.claim(digest, signal, (offsetBytes) => onStatus('waiting', offsetBytes));
    if (claim === 'stored') {
      const [linked] = await store.link([blob], signal);
      if (linked?.isLinked) return linked.place;
    } else if (await fetchClaimed(fetch, claim)) {
      return undefined;
    }
    await delay(retryDelayMs(RETRY, attempt), undefined, { signal });
  }
  throw unavailable(`blob ${digest}: neither to be fetched nor to be linked`);
}

/** False when the claim was lost on the way: another has it now. */
async function fetchClaimed(
  { blob, store, open, signal, onStatus }: FetchBlob,
  claim: Exclude<Awaited<ReturnType<PullStore['claim']>>, 'stored'>,
): Promise<boolean> {
  const until = AbortSignal.any([signal, claim.lost]);
  const ref = refKey(blob.descriptor);
  const openHere: OpenBlob = (offsetBytes) => open(offsetBytes, until);
  try {
    onStatus('fetching', 0);
    await store.ingest(ref, blob, openHere, until, (offsetBytes) => {
      claim.report(offsetBytes);
      onStatus('fetching', offsetBytes);
    });
  } catch (error) {
    // Nobody else writes this ingest for as long as the claim is held.
    if (signal.aborted) await store.forget(ref);
    await claim.release();
    if (claim.lost.aborted && !signal.aborted) return false;
    throw error;
  }
  // Only wakes those who wait: nobody is to wait for it here.
  void claim.release();
  return true;
}
