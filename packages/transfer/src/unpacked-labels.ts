import type { Descriptor, Digest } from '@longshore/oci';
import type { BlobToStore } from './pull-store.ts';

/**
 * What is written on the blobs of an image that was unpacked: the config keeps the topmost snapshot, and each layer
 * tells what it was found to hold. Source: containerd core/unpack/unpacker.go.
 */
export function unpackedLabels(
  config: Descriptor,
  layers: readonly Descriptor[],
  diffIds: readonly Digest[],
  snapshotter: string,
  topName: string,
): BlobToStore[] {
  const told = layers.map((descriptor, n) => ({
    descriptor,
    labels: { 'containerd.io/uncompressed': diffIds[n]! },
  }));
  const kept = { descriptor: config, labels: { [`containerd.io/gc.ref.snapshot.${snapshotter}`]: topName } };
  const distinct = new Map([...told, kept].map((blob) => [blob.descriptor.digest, blob]));
  return topName === '' ? [] : [...distinct.values()];
}
