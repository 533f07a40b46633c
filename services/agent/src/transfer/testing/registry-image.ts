import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { type Descriptor, type Digest, digestOf, hostPlatform, MediaType } from '@longshore/oci';
import { FakeRegistry } from '@longshore/registry/testing';
import { pack } from 'tar-stream';

export interface RegistryImage {
  registry: FakeRegistry;
  /** `<host>/a/b:1` */
  reference: string;
  target: Descriptor;
  config: Descriptor;
  layers: Descriptor[];
  diffIds: Digest[];
}

/** A registry with an image whose every layer adds one file, `file-<n>`. */
export async function registryImage(layerCount: number): Promise<RegistryImage> {
  const registry = await FakeRegistry.start();
  const add = (mediaType: string, bytes: Buffer): Descriptor => {
    registry.blobs.set(digestOf(bytes), bytes);
    return { mediaType, digest: digestOf(bytes), size: bytes.length };
  };
  const tars = await Promise.all(Array.from({ length: layerCount }, (_, n) => tarOf(`file-${n}`)));
  const layers = tars.map((tar) => add(MediaType.OciLayerGzip, gzipSync(tar)));
  const diffIds = tars.map((tar) => digestOf(tar));
  const configBytes = JSON.stringify({ ...hostPlatform(), rootfs: { type: 'layers', diff_ids: diffIds } });
  const config = add(MediaType.OciConfig, Buffer.from(configBytes));
  const manifest = { schemaVersion: 2, mediaType: MediaType.OciManifest, config, layers };
  const bytes = Buffer.from(JSON.stringify(manifest));
  registry.manifests.set('a/b:1', { mediaType: MediaType.OciManifest, bytes });
  const target = { mediaType: MediaType.OciManifest, digest: digestOf(bytes), size: bytes.length };
  return { registry, reference: `${registry.host}/a/b:1`, target, config, layers, diffIds };
}

function tarOf(name: string): Promise<Buffer> {
  const archive = pack();
  archive.entry({ name }, name);
  archive.finalize();
  return buffer(archive);
}
