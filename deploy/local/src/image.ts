import { gzipSync } from 'node:zlib';
import {
  type Descriptor,
  type Digest,
  digestOf,
  hostPlatform,
  type ImageConfig,
  type Index,
  type Manifest,
  MediaType,
  type Platform,
} from '@longshore/oci';
import { makeTar, type TarEntry } from './tar.ts';

export interface ImageOptions {
  /** Lowest first. */
  layers: readonly (readonly TarEntry[])[];
  /** Makes an index with a manifest for each, the layers shared; without it a lone manifest for this machine. */
  platforms?: readonly Platform[];
  config?: ImageConfig['config'];
  /** Whose media types; default `oci`. */
  format?: 'oci' | 'docker';
  /** Default true. */
  gzip?: boolean;
}

export interface Image {
  /** The index or manifest that a tag points to. */
  root: Descriptor;
  /** Indexes and manifests, those that others refer to first; `root` comes last. */
  manifests: Map<Digest, { mediaType: string; bytes: Buffer }>;
  /** Configs and layers. */
  blobs: Map<Digest, Buffer>;
}

const TYPES = {
  oci: {
    index: MediaType.OciIndex,
    manifest: MediaType.OciManifest,
    config: MediaType.OciConfig,
    layer: MediaType.OciLayer,
    layerGzip: MediaType.OciLayerGzip,
  },
  docker: {
    index: MediaType.DockerIndex,
    manifest: MediaType.DockerManifest,
    config: MediaType.DockerConfig,
    layer: MediaType.DockerLayer,
    layerGzip: MediaType.DockerLayerGzip,
  },
} as const;

interface BuiltLayer {
  descriptor: Descriptor;
  /** Of the uncompressed tar. */
  diffId: Digest;
}

/** Builds an image in memory. The same options give the same digests. */
export function makeImage(options: ImageOptions): Image {
  const { format = 'oci', gzip = true, platforms } = options;
  const types = TYPES[format];
  const image: Image = {
    root: { mediaType: '', digest: digestOf(''), size: 0 },
    manifests: new Map(),
    blobs: new Map(),
  };
  const layers = options.layers.map((entries): BuiltLayer => {
    const tar = makeTar(entries);
    const bytes = gzip ? gzipSync(tar) : tar;
    return { descriptor: addBlob(image, gzip ? types.layerGzip : types.layer, bytes), diffId: digestOf(tar) };
  });
  const perPlatform = (platform: Platform): Descriptor => {
    const config: ImageConfig = {
      ...platform,
      config: options.config ?? {},
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    };
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: types.manifest,
      config: addBlob(image, types.config, toJson(config)),
      layers: layers.map(({ descriptor }) => descriptor),
    };
    return addManifest(image, types.manifest, manifest);
  };
  if (platforms === undefined) {
    image.root = perPlatform(hostPlatform());
    return image;
  }
  const manifests = platforms.map((platform) => ({ ...perPlatform(platform), platform }));
  const index: Index = { schemaVersion: 2, mediaType: types.index, manifests };
  image.root = addManifest(image, types.index, index);
  return image;
}

function addBlob(image: Image, mediaType: string, bytes: Buffer): Descriptor {
  const digest = digestOf(bytes);
  image.blobs.set(digest, bytes);
  return { mediaType, digest, size: bytes.length };
}

function addManifest(image: Image, mediaType: string, document: Manifest | Index): Descriptor {
  const bytes = toJson(document);
  const digest = digestOf(bytes);
  image.manifests.set(digest, { mediaType, bytes });
  return { mediaType, digest, size: bytes.length };
}

function toJson(document: object): Buffer {
  return Buffer.from(JSON.stringify(document, null, 2));
}
