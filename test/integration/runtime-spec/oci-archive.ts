import { type Image, makeTar, type TarEntry } from '@longshore/local';
import { MediaType } from '@longshore/oci';

/**
 * Images by their names, as one archive for `ctr image import`; what they share is in it once.
 * Source: OCI image-spec image-layout.md; containerd images/annotations.go.
 */
export function ociArchive(images: ReadonlyMap<string, Image>): Buffer {
  const manifests = [...images].map(([name, { root }]) => ({
    ...root,
    annotations: { 'io.containerd.image.name': name },
  }));
  const blobs = new Map(
    [...images.values()].flatMap((image) => [
      ...image.blobs,
      ...[...image.manifests].map(([digest, { bytes }]) => [digest, bytes] as const),
    ]),
  );
  return makeTar([
    file('oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' })),
    file('index.json', JSON.stringify({ schemaVersion: 2, mediaType: MediaType.OciIndex, manifests })),
    ...[...blobs].map(([digest, bytes]) => file(`blobs/${digest.replace(':', '/')}`, bytes)),
  ]);
}

function file(path: string, content: Buffer | string): TarEntry {
  return { path, type: 'file', content };
}
