import { join } from 'node:path';
import { createLogger } from '@longshore/kit';
import { Header } from '@longshore/proto/headers';
import type { RecordCopy } from '../../records/record-copy.ts';
import { emptyCopy } from '../../records/testing/copies.ts';
import type { CatalogueCall } from '../catalogue-call.ts';
import { OverlayfsSnapshotter } from '../overlayfs/overlayfs-snapshotter.ts';
import { SnapshotRecords } from '../snapshot-records.ts';
import { Snapshots } from '../snapshots.ts';
import type { Snapshotter } from '../snapshotter.ts';
import { UnsettledLayers } from '../unsettled-layers.ts';
import { CatalogueServer } from './catalogue-server.ts';
import { scratchDirectory } from './scratch-directory.ts';

export const NODE_ID = 'node-1';
export const log = createLogger('agent', 'silent');

/** On behalf of a caller in the namespace `default`. */
export const call: CatalogueCall = {
  namespace: 'default',
  options: { headers: { [Header.Namespace]: 'default', [Header.Node]: NODE_ID } },
};

export interface LayersOptions {
  /** Spares asking the catalogue. */
  copy?: RecordCopy;
  /** In place of overlays, and called as they are. */
  driver?: Snapshotter;
}

/** Overlays in a scratch directory with a catalogue of their own; both end with the test. */
export async function layersUnderTest({ copy = emptyCopy(), driver }: LayersOptions = {}) {
  const catalogue = await CatalogueServer.start();
  const overlayfs = await OverlayfsSnapshotter.open(join(await scratchDirectory(), 'overlayfs'));
  // An attempt counts as settled at once: nothing is under way any more when a test looks.
  const unsettled = new UnsettledLayers(0);
  const snapshots = new Snapshots({
    catalogue: catalogue.client,
    records: new SnapshotRecords(copy),
    snapshotters: [driver ?? overlayfs],
    unsettled,
    log,
  });
  return { catalogue, overlayfs, unsettled, copy, snapshots };
}
