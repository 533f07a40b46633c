import { messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { type CatalogueClient, ownCall } from './catalogue-call.ts';
import { readMountedLayers } from './mounted-layers.ts';
import type { Snapshotter } from './snapshotter.ts';

export interface ReaperOptions {
  catalogue: CatalogueClient;
  nodeId: string;
  snapshotters: readonly Snapshotter[];
  log: Logger;
}

/**
 * Deletes the layers that the catalogue has no record of any more and tells it so. What a mount uses stays, and is
 * looked at again the next time; the answer is how many do. Safe to repeat after any failure. Throws when the catalogue
 * does not answer.
 */
export async function reapTombstones(options: ReaperOptions): Promise<number> {
  const { catalogue, nodeId, snapshotters, log } = options;
  const { tombstones } = await catalogue.listTombstones({}, ownCall(nodeId));
  const gone: string[] = [];
  for (const { generation, snapshotter } of tombstones) {
    const driver = snapshotters.find((one) => one.name === snapshotter);
    if (!driver || readMountedLayers()(generation)) continue;
    try {
      driver.directories.discard(generation);
      await driver.directories.purge(generation);
      if (driver.directories.isGone(generation)) gone.push(generation);
    } catch (error) {
      log.warn({ generation, snapshotter, error: messageOf(error) }, 'removed layer cannot be deleted');
    }
  }
  if (gone.length > 0) await catalogue.confirmTombstones({ generations: gone }, ownCall(nodeId));
  return tombstones.length - gone.length;
}
