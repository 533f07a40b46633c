import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { Turns } from '../diff/worker/turns.ts';
import { type CatalogueClient, ownCall } from './catalogue-call.ts';
import { readMountedLayers } from './mounted-layers.ts';
import type { Snapshotter } from './snapshotter.ts';

export interface ReaperOptions {
  catalogue: CatalogueClient;
  nodeId: string;
  snapshotters: readonly Snapshotter[];
  log: Logger;
  /** How long a deletion is waited for before others have their turn; it goes on. In milliseconds. */
  patienceMs?: number;
}

/** A layer without a record that is still on disk. */
export interface WaitingLayer {
  snapshotter: string;
  generation: string;
  reason: 'mounted' | 'being deleted' | 'failed' | 'unknown snapshotter';
}

/** More would only wait for one another at the disk. */
const DELETIONS_AT_ONCE = 4;
const PATIENCE_MS = 10_000;

/**
 * Deletes the layers that the catalogue has no record of any more and tells it so. What a mount uses stays, and is
 * looked at again the next time, as is what cannot be deleted or hangs: the answer is these. One that hangs keeps no other
 * waiting for longer than our patience. Safe to repeat after any failure. Throws when the catalogue does not answer.
 */
export async function reapTombstones(options: ReaperOptions): Promise<WaitingLayer[]> {
  const { catalogue, nodeId } = options;
  const { tombstones } = await catalogue.listTombstones({}, ownCall(nodeId));
  const turns = new Turns(DELETIONS_AT_ONCE);
  const { signal } = new AbortController();
  const waiting: WaitingLayer[] = [];
  const gone: string[] = [];
  await Promise.all(
    tombstones.map(async ({ generation, snapshotter }) => {
      await turns.next(signal);
      try {
        const reason = await bury(options, snapshotter, generation);
        if (reason) waiting.push({ snapshotter, generation, reason });
        else gone.push(generation);
      } finally {
        turns.done();
      }
    }),
  );
  if (gone.length > 0) await catalogue.confirmTombstones({ generations: gone }, ownCall(nodeId));
  return waiting;
}

/** Why the layer is not gone; undefined when it is. */
async function bury(
  { snapshotters, log, patienceMs = PATIENCE_MS }: ReaperOptions,
  snapshotter: string,
  generation: string,
): Promise<WaitingLayer['reason'] | undefined> {
  const directories = snapshotters.find((one) => one.name === snapshotter)?.directories;
  if (!directories) return 'unknown snapshotter';
  if (readMountedLayers()(generation)) return 'mounted';
  const patience = new AbortController();
  try {
    directories.discard(generation);
    const over = delay(patienceMs, undefined, { signal: patience.signal }).catch(() => undefined);
    await Promise.race([directories.purge(generation), over]);
    return directories.isGone(generation) ? undefined : 'being deleted';
  } catch (error) {
    log.warn({ generation, snapshotter, error: messageOf(error) }, 'removed layer cannot be deleted');
    return 'failed';
  } finally {
    patience.abort();
  }
}
