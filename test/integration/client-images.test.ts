import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { Client, type Progress, type PullOptions } from '@longshore/client';
import { type Image, makeBusyboxImage, makeImage, makeTar, pushImage } from '@longshore/local';
import { digestOf, encodedOf, hostPlatform } from '@longshore/oci';
import { FakeRegistry } from '@longshore/registry/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Ctr } from '../harness/ctr.ts';
import { type PeerContainerd, startContainerd } from '../harness/peer-containerd.ts';
import { type Stack, startStack } from '../harness/stack.ts';

const LAYER_BYTES = 1024 * 1024;
const SIDES = ['longshore', 'containerd'] as const;
const FOREIGN = { os: 'linux', architecture: 's390x' };

let stack: Stack;
let peer: PeerContainerd;
const sides = new Map<string, { client: Client; ctr: Ctr }>();

beforeAll(async () => {
  [stack, peer] = await Promise.all([startStack(), startContainerd()]);
  for (const [name, { socket, ctr }] of Object.entries({ longshore: stack, containerd: peer })) {
    sides.set(name, { client: new Client(socket), ctr });
  }
});
afterAll(async () => {
  for (const { client } of sides.values()) client.close();
  await peer?.[Symbol.asyncDispose]();
  await stack?.close();
});

function layersOf(count: number) {
  return Array.from({ length: count }, (_, n) => [
    { path: `layer${n}`, type: 'file' as const, content: randomBytes(LAYER_BYTES) },
  ]);
}

async function pushed(name: string, image: Image): Promise<string> {
  const reference = await pushImage(stack.registry.host, `client/${name}`, '1', image);
  stack.registry.forgetRequests();
  return reference;
}

/** A registry that does what it is told, with one image. */
async function faultyRegistry(image: Image): Promise<{ registry: FakeRegistry; reference: string }> {
  const registry = await FakeRegistry.start();
  for (const [digest, manifest] of image.manifests) registry.manifests.set(digest, manifest);
  for (const [digest, bytes] of image.blobs) registry.blobs.set(digest, bytes);
  registry.manifests.set('faulty:1', image.manifests.get(image.root.digest)!);
  return { registry, reference: `${registry.host}/faulty:1` };
}

/** The largest blob: its layer. */
function layerOf(image: Image): string {
  const [largest] = [...image.blobs].sort(([, a], [, b]) => b.length - a.length);
  return largest![0];
}

async function* chunksOf(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

describe.each(SIDES)('images of %s', (name) => {
  const side = () => sides.get(name)!;
  /** Nothing of a transfer is left under way. */
  const expectNothingLeft = async () => {
    const { client } = side();
    expect((await client.content.statuses()).map(({ ref }) => ref)).toEqual([]);
    expect(await client.leases.list()).toEqual([]);
    const keys: string[] = [];
    for await (const snapshot of client.snapshots().list()) keys.push(snapshot.name);
    expect(keys.filter((key) => key.startsWith('extract-'))).toEqual([]);
  };

  it('pulls, unpacks and records an image that runs, and tells how far it is', async () => {
    const { client, ctr } = side();
    const made = await makeBusyboxImage({ layers: layersOf(2) });
    const reference = await pushed(`run-${name}`, made);
    const pictures: Progress[] = [];
    const image = await client.pull(reference, {
      by: 'client',
      unpack: true,
      onProgress: (picture) => pictures.push(picture),
    });
    expect(image).toMatchObject({ name: reference, target: { digest: made.root.digest } });
    expect(await image.isUnpacked()).toBe(true);
    expect(await image.platforms()).toEqual([hostPlatform()]);
    expect(await image.sizeBytes()).toBeGreaterThan(2 * LAYER_BYTES);
    expect(await ctr.ok(['image', 'check', `name==${reference}`])).toMatch(/complete \(4\/4\).* true/);
    expect(await ctr.ok(['run', '--rm', reference, `run-${name}`, 'wc', '-c', '/layer1'])).toContain(
      `${LAYER_BYTES} /layer1`,
    );
    const last = pictures.at(-1)!;
    expect(last).toMatchObject({ phase: 'done', target: made.root.digest });
    expect(last.doneBytes).toBe(last.totalBytes);
    expect(last.totalBytes).toBeGreaterThan(2 * LAYER_BYTES);
    expect(last.blobs.filter(({ state }) => state === 'unpacked')).toHaveLength(3);
    await expectNothingLeft();
  });

  it('fetches nothing that is there, and goes on where an earlier pull ended', async () => {
    const { client } = side();
    const made = makeImage({ layers: layersOf(1) });
    const { registry, reference } = await faultyRegistry(made);
    const digest = layerOf(made);
    const bytes = made.blobs.get(digest as never)!;
    const writer = await client.content.writer({ ref: `layer-${digest}`, sizeBytes: bytes.length });
    await writer.write(bytes.subarray(0, 400_000));
    await writer.close();
    await client.pull(reference, { by: 'client' });
    const ranges = () =>
      registry.requests.filter(({ path }) => path.endsWith(digest)).map(({ range }) => range);
    expect(ranges()).toEqual(['bytes=400000-']);
    const again = await client.pull(reference, { by: 'client', name: 'again', unpack: true });
    expect(ranges()).toHaveLength(1);
    expect(await again.isUnpacked()).toBe(true);
    await expectNothingLeft();
  });

  it('leaves nothing of a pull that is given up, and no record of one that fails', async () => {
    const { client } = side();
    const made = makeImage({ layers: layersOf(1) });
    const { registry, reference } = await faultyRegistry(made);
    const path = `/v2/faulty/blobs/${layerOf(made)}`;
    registry.fail(path, { stallAfterBytes: 800_000 });
    const aborted = new AbortController();
    const options: PullOptions = { by: 'client', unpack: true, signal: aborted.signal };
    const pulling = client.pull(reference, {
      ...options,
      onProgress: ({ blobs }) => {
        if (blobs.some(({ offsetBytes }) => offsetBytes >= 100_000)) aborted.abort(new Error('enough'));
      },
    });
    await expect(pulling).rejects.toThrow('enough');
    await expectNothingLeft();
    registry.fail(path, { status: 403 });
    await expect(client.pull(reference, { by: 'client' })).rejects.toMatchObject({
      kind: 'PermissionDenied',
    });
    await expect(client.images.get(reference)).rejects.toMatchObject({ kind: 'NotFound' });
    expect(await client.leases.list()).toEqual([]);
  });

  it('pulls by the server where it can, and otherwise itself', async () => {
    const { client } = side();
    const made = makeImage({ layers: layersOf(1) });
    const reference = await pushed(`auto-${name}`, made);
    const pictures: Progress[] = [];
    const image = await client.pull(reference, { unpack: true, onProgress: (each) => pictures.push(each) });
    expect(await image.isUnpacked()).toBe(true);
    expect(pictures.at(-1)).toMatchObject({ phase: 'done' });
    expect(pictures.at(-1)!.blobs.map(({ digest }) => digest)).toContain(layerOf(made));
    const byServer = client.pull(reference, { by: 'server' });
    if (name === 'longshore') await expect(byServer).resolves.toMatchObject({ name: reference });
    else await expect(byServer).rejects.toMatchObject({ kind: 'Unimplemented' });
  });

  it('pushes what the registry lacks, and mounts what another repository has', async () => {
    const { client, ctr } = side();
    const made = makeImage({ layers: layersOf(2) });
    const reference = await pushed(`push-${name}`, made);
    await client.pull(reference, { by: 'client' });
    const { host } = stack.registry;
    const writes = () =>
      stack.registry
        .requests()
        .filter(({ method, path }) => method !== 'GET' && method !== 'HEAD' && path.includes('/blobs/'));
    const mounted = `${host}/client/mounted-${name}:2`;
    stack.registry.forgetRequests();
    expect(await client.images.push(reference, { to: mounted })).toMatchObject({ digest: made.root.digest });
    expect(writes().map(({ method, status }) => [method, status])).toEqual(Array(3).fill(['POST', 201]));

    // Elsewhere nothing can be mounted.
    const image = await client.images.get(reference);
    for (const digest of made.blobs.keys()) {
      await client.content.label(digest, { 'containerd.io/distribution.source.127.0.0.1': '' });
    }
    const sent = `${host}/client/sent-${name}:2`;
    const pictures: Progress[] = [];
    await client.images.push(image.name, { to: sent, onProgress: (each) => pictures.push(each) });
    expect(pictures.at(-1)).toMatchObject({ phase: 'done' });
    expect(pictures.at(-1)!.blobs.map(({ state }) => state)).toEqual(Array(4).fill('done'));
    for (const target of [mounted, sent]) {
      await ctr.ok(['image', 'pull', '--plain-http', target], { namespace: 'pushed' });
    }
    stack.registry.forgetRequests();
    await client.images.push(image.name, { to: sent });
    expect(writes()).toEqual([]);
  });

  it('pushes one platform of an image of which no more is stored', async () => {
    const { client } = side();
    const made = makeImage({ layers: layersOf(1), platforms: [hostPlatform(), FOREIGN] });
    const reference = await pushed(`one-${name}`, made);
    const image = await client.pull(reference, { by: 'client', platform: 'linux/s390x' });
    expect(await image.platforms()).toEqual([FOREIGN]);
    expect((await image.config()).architecture).toBe('s390x');
    const to = `${stack.registry.host}/client/only-${name}:1`;
    await expect(client.images.push(reference, { to })).rejects.toMatchObject({ kind: 'FailedPrecondition' });
    const target = await client.images.push(reference, { to, platform: 'linux/s390x' });
    expect(target.digest).toBe((await image.manifest()).descriptor.digest);
  });

  it('exports what ctr and the client import, and imports what ctr exports', async () => {
    const { client, ctr } = side();
    const other = sides.get(SIDES.find((each) => each !== name)!)!;
    const made = makeImage({ layers: layersOf(2) });
    const reference = await pushed(`export-${name}`, made);
    await client.pull(reference, { by: 'client' });
    const archive = await buffer(client.images.export([reference]));
    const importing = ctr.start(['image', 'import', '-'], { namespace: 'imported' });
    importing.stdin!.end(archive);
    expect(await once(importing, 'exit')).toEqual([0, null]);
    expect(await ctr.ok(['image', 'check'], { namespace: 'imported' })).toMatch(/complete \(3\/3\)/);

    const [image] = await other.client.images.import(chunksOf(gzipSync(archive)));
    expect(image).toMatchObject({ name: reference, target: { digest: made.root.digest } });
    await image!.unpack();
    expect(await image!.isUnpacked()).toBe(true);

    const exporting = ctr.start(['image', 'export', '-', reference]);
    const renamed = client.in({ namespace: 'renamed' });
    expect((await renamed.images.import(exporting.stdout!)).map((each) => each.name)).toEqual([reference]);
    await expectNothingLeft();
  });

  it('imports what docker saves, links among its members too', async () => {
    const { client } = side();
    const layer = makeTar([{ path: 'hello', type: 'file', content: 'hello\n' }]);
    const config = JSON.stringify({
      ...hostPlatform(),
      rootfs: { type: 'layers', diff_ids: [digestOf(layer), digestOf(layer)] },
    });
    const manifest = [{ Config: 'c.json', RepoTags: ['saved:1'], Layers: ['a/layer.tar', 'b/layer.tar'] }];
    const archive = makeTar([
      { path: 'a/', type: 'directory' },
      { path: 'a/layer.tar', type: 'file', content: layer },
      { path: 'b/layer.tar', type: 'symlink', target: '../a/layer.tar' },
      { path: 'c.json', type: 'file', content: config },
      { path: 'manifest.json', type: 'file', content: JSON.stringify(manifest) },
    ]);
    const [image] = await client.images.import(chunksOf(archive));
    expect(image!.name).toBe('docker.io/library/saved:1');
    await image!.unpack();
    expect(await image!.isUnpacked()).toBe(true);
    expect(await image!.diffIds()).toEqual([digestOf(layer), digestOf(layer)]);
  });

  it('refuses archives that are no good, and leaves nothing of them', async () => {
    const { client } = side();
    const images = (await client.images.list()).map((image) => image.name);
    const layout = { path: 'oci-layout', type: 'file', content: '{"imageLayoutVersion":"1.0.0"}' } as const;
    /** The layer comes third, the config fourth. Of an image of its own: what one archive lacks, another may have brought. */
    const entries = () => {
      const content = randomBytes(100_000);
      const { root, blobs, manifests } = makeImage({ layers: [[{ path: 'file', type: 'file', content }]] });
      const members = [...blobs, ...[...manifests].map(([digest, { bytes }]) => [digest, bytes] as const)];
      const index = JSON.stringify({ schemaVersion: 2, manifests: [root] });
      return [
        layout,
        { path: 'index.json', type: 'file', content: index } as const,
        ...members.map(
          ([digest, bytes]) =>
            ({ path: `blobs/sha256/${encodedOf(digest)}`, type: 'file', content: bytes }) as const,
        ),
      ];
    };
    const without = (n: number) => makeTar(entries().filter((_, place) => place !== n));
    const half = (bytes: Buffer) => bytes.subarray(0, bytes.length / 2);
    const hostile: Record<string, Buffer> = {
      empty: Buffer.alloc(0),
      'no archive': randomBytes(2_000),
      cut: half(makeTar(entries())),
      'a damaged stream': half(gzipSync(makeTar(entries()))),
      'a layer left out': without(2),
      'a config left out': without(3),
      'no index': without(1),
      'other bytes than their name': makeTar(
        entries().map((entry, n) => (n === 2 ? { ...entry, content: 'other' } : entry)),
      ),
      'outside of it': makeTar([...entries(), { path: '../../etc/passwd', type: 'file', content: 'x' }]),
      'another version': makeTar([
        { ...layout, content: '{"imageLayoutVersion":"9"}' },
        ...entries().slice(1),
      ]),
      'a docker archive without its layers': makeTar([
        { path: 'c.json', type: 'file', content: '{"rootfs":{"diff_ids":[]}}' },
        { path: 'manifest.json', type: 'file', content: '[{"Config":"c.json","Layers":["../x"]}]' },
      ]),
    };
    for (const [what, bytes] of Object.entries(hostile)) {
      const importing = client.images.import(chunksOf(bytes));
      await expect(importing, what).rejects.toMatchObject({
        kind: expect.stringMatching(/^(InvalidArgument|FailedPrecondition)$/),
      });
    }
    await expectNothingLeft();
    expect((await client.images.list()).map((image) => image.name)).toEqual(images);
  });

  it('gives names, and takes them back with all that they kept', async () => {
    const { client } = side();
    const scope = client.in({ namespace: 'tags' });
    const made = makeImage({ layers: layersOf(1) });
    const reference = await pushed(`tag-${name}`, made);
    const image = await scope.pull(reference, { by: 'client', unpack: true });
    await scope.images.tag(reference, 'other:1', { labels: { a: 'b' } });
    await expect(scope.images.tag(reference, 'other:1')).rejects.toMatchObject({ kind: 'AlreadyExists' });
    await scope.images.tag(reference, 'other:1', { force: true });
    await image.delete();
    const chainId = (await image.chainId()) as string;
    expect(await scope.snapshots().stat(chainId)).toMatchObject({ kind: 'committed', parent: '' });
    await (await scope.images.get('other:1')).delete({ sync: true });
    await expect(scope.snapshots().stat(chainId)).rejects.toMatchObject({ kind: 'NotFound' });
    await expect(scope.content.info(made.root.digest)).rejects.toMatchObject({ kind: 'NotFound' });
  });
});
