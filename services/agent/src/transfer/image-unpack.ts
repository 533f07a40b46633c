import type { Descriptor } from '@longshore/oci';
import type { CallOptions } from '@longshore/rpc';
import {
  diffIdsOf,
  fileLayers,
  type ImageManifest,
  type PullStore,
  unpackedLabels,
  type WhenStored,
} from '@longshore/transfer';
import type { BlobSource } from '../content/blob-source.ts';
import type { LayerStatus } from './unpack-request.ts';
import type { Unpacker } from './unpacker.ts';

export interface ImageUnpackOptions {
  unpacker: Unpacker;
  blobs: BlobSource;
}

export interface ImageToUnpack {
  image: ImageManifest;
  snapshotter: string;
  whenStored: WhenStored;
  signal: AbortSignal;
  onLayer(layer: Descriptor, status: LayerStatus): void;
  namespace: string;
  store: PullStore;
  /** With the lease. */
  options: CallOptions;
}

/** Unpacks an image whose blobs are there or on their way, and writes on its blobs what it became. */
export async function unpackImage(
  { unpacker, blobs }: ImageUnpackOptions,
  { image, snapshotter, namespace, store, options, whenStored, signal, onLayer }: ImageToUnpack,
): Promise<void> {
  const { config } = image.manifest;
  const callOptions = { ...options, signal };
  const place = await whenStored(config.digest);
  const bytes = await blobs.readSmall({ digest: config.digest, sizeBytes: config.size, place }, callOptions);
  const diffIds = diffIdsOf(config.digest, bytes);
  const layers = fileLayers(image);
  const call = { namespace, options: callOptions };
  const top = await unpacker.unpack({ layers, diffIds, snapshotter, call, whenStored, signal, onLayer });
  // All layers are stored by now, also those that did not have to be read.
  await Promise.all(layers.map(({ digest }) => whenStored(digest)));
  const labelled = unpackedLabels(config, layers, diffIds, snapshotter, top);
  if (labelled.length > 0) await store.link(labelled, signal);
}
