import type { Image } from '@longshore/local';
import { digestOf, hostPlatform, type Manifest, MediaType } from '@longshore/oci';
import type { BenchLayer } from './layers.ts';

/** As a registry takes it. */
export function benchImage(layers: readonly BenchLayer[]): Image {
  const config = Buffer.from(
    JSON.stringify({
      ...hostPlatform(),
      config: {},
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    }),
  );
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MediaType.OciManifest,
    config: { mediaType: MediaType.OciConfig, digest: digestOf(config), size: config.length },
    layers: layers.map(({ descriptor }) => descriptor),
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  const root = { mediaType: MediaType.OciManifest, digest: digestOf(bytes), size: bytes.length };
  return {
    root,
    manifests: new Map([[root.digest, { mediaType: root.mediaType, bytes }]]),
    blobs: new Map([
      [manifest.config.digest, config],
      ...layers.map(({ descriptor, bytes: layer }) => [descriptor.digest, layer] as const),
    ]),
  };
}
