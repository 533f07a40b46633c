import { setTimeout as delay } from 'node:timers/promises';
import { isKind, messageOf, retryDelayMs } from '@longshore/errors';
import type { Content } from '@longshore/proto/containerd/services/content/v1/content';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import type { BlobToStore, OpenBlob } from './pull-store.ts';
import { WHILE_AWAY } from './while-away.ts';
import { SourceError, writeBlob } from './write-session.ts';

export interface IngestBlob {
  content: ServiceClient<typeof Content>;
  /** Namespace, node and lease; not the signal. */
  options: CallOptions;
  ref: string;
  blob: BlobToStore;
  open: OpenBlob;
  signal: AbortSignal;
  onOffset?: ((offsetBytes: number) => void) | undefined;
}

const ABORT_TIMEOUT_MS = 5_000;

/** Stores a blob by content.Write as `PullStore.ingest` says, through restarts of the service and other writers. */
export async function ingestBlob({ content, ref, blob, open, signal, ...rest }: IngestBlob): Promise<void> {
  const options = { ...rest.options, signal };
  let fromStart = false;
  for (let attempt = 1; ; ) {
    try {
      await writeBlob({ content, ref, blob, open, fromStart, options, onOffset: rest.onOffset });
      return;
    } catch (error) {
      signal.throwIfAborted();
      const verdict = verdictOn(error);
      if (verdict === 'wrong' || verdict === 'unlike') await forgetIngest(content, ref, rest.options);
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

/** Leaves nothing of an ingest. Never throws. */
export async function forgetIngest(
  content: ServiceClient<typeof Content>,
  ref: string,
  { headers }: CallOptions,
): Promise<void> {
  const deadline = new Date(Date.now() + ABORT_TIMEOUT_MS);
  await content.abort({ ref }, { headers, deadline }).catch(() => undefined);
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
