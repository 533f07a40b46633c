import { gunzipSync } from 'node:zlib';
import { digestOf, type ImageConfig, type Index, type Manifest, MediaType } from '@longshore/oci';
import { describe, expect, it } from 'vitest';
import { type Image, makeImage } from './image.ts';
import type { TarEntry } from './tar.ts';

const LAYERS: TarEntry[][] = [
  [{ path: 'a', type: 'file', content: 'one' }],
  [{ path: '.wh.a', type: 'file' }],
];

const documentOf = <T>(image: Image, digest: Manifest['config']['digest']): T =>
  JSON.parse(String(image.manifests.get(digest)?.bytes ?? image.blobs.get(digest)));

describe('makeImage', () => {
  it('describes its layers by the digests of their tars', () => {
    const image = makeImage({ layers: LAYERS });
    const manifest = documentOf<Manifest>(image, image.root.digest);
    const config = documentOf<ImageConfig>(image, manifest.config.digest);
    const tars = manifest.layers.map(({ digest }) => gunzipSync(image.blobs.get(digest) ?? Buffer.alloc(0)));
    expect(config.rootfs.diff_ids).toEqual(tars.map((tar) => digestOf(tar)));
    expect(image.root.size).toBe(image.manifests.get(image.root.digest)?.bytes.length);
  });

  it('makes an index of several platforms that share their layers', () => {
    const platforms = [
      { os: 'linux', architecture: 'amd64' },
      { os: 'linux', architecture: 'arm64', variant: 'v8' },
    ];
    const image = makeImage({ layers: LAYERS, platforms, format: 'docker' });
    expect(image.root.mediaType).toBe(MediaType.DockerIndex);
    const index = documentOf<Index>(image, image.root.digest);
    expect(index.manifests.map(({ platform }) => platform)).toEqual(platforms);
    expect(image.blobs.size).toBe(2 + 2);
    expect([...image.manifests.keys()].at(-1)).toBe(image.root.digest);
  });
});
