import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '@longshore/oci';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeBusyboxImage } from './busybox-image.ts';
import { guard } from './guard.ts';
import { pushImage } from './push-image.ts';
import { type Registry, startRegistry } from './registry.ts';
import { until } from './until.ts';

let dir: string;
let registry: Registry;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'longshore-registry-'));
  guard().removeWithUs(dir);
  registry = await startRegistry(dir);
});
afterAll(async () => {
  await registry.close();
  rmSync(dir, { recursive: true });
});

const pushed = () => registry.requests().filter(({ method }) => method === 'PUT');

describe('pushImage', () => {
  it('leaves an image that the registry gives back byte for byte', async () => {
    const image = await makeBusyboxImage();
    const ref = await pushImage(registry.host, 'tools/busybox', 'v1', image);
    expect(ref).toBe(`${registry.host}/tools/busybox:v1`);
    const answer = await fetch(`http://${registry.host}/v2/tools/busybox/manifests/v1`, {
      headers: { accept: image.root.mediaType },
    });
    expect(digestOf(Buffer.from(await answer.arrayBuffer()))).toBe(image.root.digest);
    for (const digest of image.blobs.keys()) {
      const blob = await fetch(`http://${registry.host}/v2/tools/busybox/blobs/${digest}`);
      expect(digestOf(Buffer.from(await blob.arrayBuffer()))).toBe(digest);
    }
  });

  it('sends no blob twice', async () => {
    await pushImage(registry.host, 'tools/busybox', 'v1', await makeBusyboxImage());
    await pushImage(registry.host, 'tools/busybox', 'v2', await makeBusyboxImage());
    // The access log is written after the answer, but in order.
    const paths = () => pushed().map(({ path }) => path);
    expect(await until(() => paths().at(-1) === '/v2/tools/busybox/manifests/v2', 5000)).toBe(true);
    expect(paths().slice(paths().lastIndexOf('/v2/tools/busybox/manifests/v1') + 1)).toEqual([
      '/v2/tools/busybox/manifests/v2',
    ]);
  });

  it('says what the registry answered', async () => {
    const pushing = pushImage(registry.host, 'NOT-LOWER', 'v1', await makeBusyboxImage());
    await expect(pushing).rejects.toThrow(/the registry answered 404/);
  });
});
