import type { CallOptions } from '@longshore/rpc';
import {
  diffIdsOf,
  fileLayers,
  type ImageManifest,
  type PullStore,
  unpackedLabels,
  type WhenStored,
} from '@longshore/transfer';
import type { ImageParts } from './image-parts.ts';
import type { ProgressTracker } from './progress.ts';
import { MAX_DOCUMENT_BYTES } from './stored-tree.ts';
import { Unpacker } from './unpacker.ts';

export interface UnpackImage {
  image: ImageManifest;
  snapshotter: string;
  /** Writes on the blobs what they became. */
  store: PullStore;
  whenStored: WhenStored;
  tracker: ProgressTracker;
  options: CallOptions;
  signal: AbortSignal;
}

/** Unpacks an image whose blobs are there or on their way; its config keeps the snapshots from then on. */
export async function unpackImage(
  { content, services }: ImageParts,
  { image, snapshotter, store, whenStored, tracker, options, signal }: UnpackImage,
): Promise<void> {
  const { config } = image.manifest;
  await whenStored(config.digest);
  const bytes = await content.readWhole(config, MAX_DOCUMENT_BYTES, { ...options, signal });
  const diffIds = diffIdsOf(config.digest, bytes);
  const layers = fileLayers(image);
  const top = await new Unpacker(services, snapshotter).unpack({
    layers,
    diffIds,
    options,
    signal,
    whenStored,
    onLayer(layer, state) {
      tracker.phase('unpacking');
      tracker.layer(layer, state);
    },
  });
  await Promise.all(layers.map(({ digest }) => whenStored(digest)));
  const labelled = unpackedLabels(config, layers, diffIds, snapshotter, top);
  if (labelled.length > 0) await store.link(labelled, signal);
}
