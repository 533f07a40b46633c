import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { Client, type Progress, type PullOptions } from '@longshore/client';
import { type Image, makeBusyboxImage, makeImage, makeTar, pushImage, type Registry } from '@longshore/local';
import { digestOf, encodedOf, hostPlatform } from '@longshore/oci';
import { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { FakeRegistry } from '@longshore/registry/testing';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Ctr } from '../../harness/ctr.ts';
import type { Stack } from '../../harness/stack.ts';

const LAYER_BYTES = 700_000;
const FOREIGN = { os: 'linux', architecture: 's390x' };
/** Of these tests alone: they look for what is left in it. */
const NAMESPACE = 'images';

export interface ImagesSuite {
  /** Of the server's socket. */
  address: string;
  /** Of another one, that takes what this one exports. */
  other: string;
  ctr: Ctr;
  registry: Registry;
  /** Whether it has containerd's transfer service. */
  transfers: boolean;
}

function layersOf(count: number) {
  return Array.from({ length: count }, (_, n) => [
    { path: `layer${n}`, type: 'file' as const, content: randomBytes(LAYER_BYTES) },
  ]);
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

/** What a client does with images, at any server. */
export function imagesSuite(partsOf: () => ImagesSuite): void {
  describe('images', () => imagesOf(partsOf));
}

function imagesOf(partsOf: () => ImagesSuite): void {
  let parts: ImagesSuite;
  let client: Client;
  /** Of this server alone: registry and machine are shared with another. */
  let name: string;
  beforeAll(() => {
    parts = partsOf();
    client = new Client(parts.address, { namespace: NAMESPACE });
    name = parts.transfers ? 'ours' : 'theirs';
  });
  afterAll(() => client?.close());

  const ctr = (args: string[], namespace = NAMESPACE) => parts.ctr.ok(args, { namespace });
  const pushed = async (repository: string, image: Image) => {
    const { registry } = parts;
    const reference = await pushImage(registry.host, `client/${repository}-${name}`, '1', image);
    registry.forgetRequests();
    return reference;
  };
  /** Nothing of a transfer is left under way. */
  const expectNothingLeft = async () => {
    expect((await client.content.statuses()).map(({ ref }) => ref)).toEqual([]);
    expect(await client.leases.list()).toEqual([]);
    const keys: string[] = [];
    for await (const snapshot of client.snapshots().list()) keys.push(snapshot.name);
    expect(keys.filter((key) => key.startsWith('extract-'))).toEqual([]);
  };

  it('pulls, unpacks and records an image that runs, and tells how far it is', async () => {
    const made = await makeBusyboxImage({ layers: layersOf(2) });
    const reference = await pushed('run', made);
    const pictures: Progress[] = [];
    const image = await client.pull(reference, {
      by: 'client',
      unpack: true,
      onProgress: (picture) => pictures.push(picture),
    });
    expect(image).toMatchObject({ name: reference, target: { digest: made.root.digest } });
    expect(await image.isUnpacked()).toBe(true);
    expect(await image.platforms()).toEqual([hostPlatform()]);
    const { contentBytes, snapshotBytes } = await image.usage();
    expect(contentBytes).toBeGreaterThan(2 * LAYER_BYTES);
    expect(contentBytes).toBe(await image.sizeBytes());
    expect(snapshotBytes).toBeGreaterThan(2 * LAYER_BYTES);
    expect((await image.setLabels({ tier: 'back' })).labels).toMatchObject({ tier: 'back' });
    expect((await client.image(reference)).labels.tier).toBe('back');
    expect(await ctr(['image', 'check', `name==${reference}`])).toMatch(/complete \(4\/4\).* true/);
    expect(await ctr(['run', '--rm', reference, `run-${name}`, 'wc', '-c', '/layer1'])).toContain(
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
    const made = makeImage({ layers: layersOf(1) });
    const { registry, reference } = await faultyRegistry(made);
    const path = `/v2/faulty/blobs/${layerOf(made)}`;
    registry.fail(path, { stallAfterBytes: 600_000 });
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
    // One that fails keeps what has come for the next, until it is collected: not where others look for what is left.
    const elsewhere = client.in({ namespace: `${NAMESPACE}-failing` });
    await expect(elsewhere.pull(reference, { by: 'client' })).rejects.toMatchObject({
      kind: 'PermissionDenied',
    });
    await expect(elsewhere.images.get(reference)).rejects.toMatchObject({ kind: 'NotFound' });
    expect(await elsewhere.leases.list()).toEqual([]);
  });

  it('pulls by the server where it can, and otherwise itself', async () => {
    const made = makeImage({ layers: layersOf(1) });
    const reference = await pushed('auto', made);
    const pictures: Progress[] = [];
    const image = await client.pull(reference, { unpack: true, onProgress: (each) => pictures.push(each) });
    expect(await image.isUnpacked()).toBe(true);
    expect(pictures.at(-1)).toMatchObject({ phase: 'done' });
    expect(pictures.at(-1)!.blobs.map(({ digest }) => digest)).toContain(layerOf(made));
    const byServer = client.pull(reference, { by: 'server' });
    if (parts.transfers) await expect(byServer).resolves.toMatchObject({ name: reference });
    else await expect(byServer).rejects.toMatchObject({ kind: 'Unimplemented' });
  });

  it('says who it is to a registry that asks, by itself and through the server', async () => {
    const made = makeImage({ layers: [[{ path: 'file', type: 'file', content: randomBytes(1_000) }]] });
    const { registry, reference } = await faultyRegistry(made);
    registry.auth = { kind: 'bearer', username: 'me', password: 'secret' };
    for (const by of ['client', 'auto'] as const) {
      const locked = () => Promise.reject(new Error('keychain is locked'));
      await expect(client.pull(reference, { by, credentials: locked })).rejects.toThrow('keychain is locked');
      await expect(client.pull(reference, { by, name: by })).rejects.toMatchObject({
        kind: 'Unauthenticated',
      });
      const credentials = async () => ({ kind: 'password', username: 'me', password: 'secret' }) as const;
      await expect(client.pull(reference, { by, name: by, credentials })).resolves.toMatchObject({
        name: by,
      });
    }
    await expectNothingLeft();
  });

  it('pulls from a mirror and pushes where a directory of hosts says', async () => {
    const made = makeImage({ layers: [[{ path: 'file', type: 'file', content: randomBytes(1_000) }]] });
    const { registry } = await faultyRegistry(made);
    const directory = mkdtempSync(join(tmpdir(), 'longshore-hosts-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    mkdirSync(join(directory, 'registry.invalid'));
    const hosts = `[host."http://${registry.host}"]\ncapabilities = ["pull", "resolve", "push"]\n`;
    writeFileSync(join(directory, 'registry.invalid/hosts.toml'), hosts);
    const options = { hostsDirectory: directory };
    const image = await client.pull('registry.invalid/faulty:1', options);
    expect(image).toMatchObject({ name: 'registry.invalid/faulty:1', target: { digest: made.root.digest } });
    expect(registry.count('?ns=registry.invalid')).toBeGreaterThan(2);
    await client.push(image.name, { ...options, to: 'registry.invalid/pushed:2' });
    expect(registry.manifests.has('pushed:2')).toBe(true);
    await image.delete();
  });

  it('pushes what the registry lacks, and mounts what another repository has', async () => {
    const made = makeImage({ layers: layersOf(2) });
    const reference = await pushed('push', made);
    await client.pull(reference, { by: 'client' });
    const { host } = parts.registry;
    const requests = (repository: string) =>
      parts.registry.requests().filter(({ path }) => path.includes(`/client/${repository}-${name}/`));
    const writes = (repository: string) =>
      requests(repository).filter(
        ({ method, path }) => method !== 'GET' && method !== 'HEAD' && path.includes('/blobs/'),
      );
    // The registry tells of its requests a little later, in their order.
    const whenTold = (repository: string, last: string) =>
      expect
        .poll(() =>
          requests(repository)
            .map(({ method, path }) => `${method} ${path}`)
            .join('\n'),
        )
        .toMatch(new RegExp(`${last} \\S+/manifests/2$`, 'm'));
    const mounted = `${host}/client/mounted-${name}:2`;
    expect(await client.push(reference, { to: mounted })).toMatchObject({ digest: made.root.digest });
    const answers = () => writes('mounted').map(({ method, status }) => [method, status]);
    await expect.poll(answers).toEqual(Array(3).fill(['POST', 201]));

    // Elsewhere nothing can be mounted.
    const image = await client.images.get(reference);
    for (const digest of made.blobs.keys()) {
      await client.content.label(digest, { 'containerd.io/distribution.source.127.0.0.1': '' });
    }
    const sent = `${host}/client/sent-${name}:2`;
    const pictures: Progress[] = [];
    await client.push(image.name, { to: sent, onProgress: (each) => pictures.push(each) });
    expect(pictures.at(-1)).toMatchObject({ phase: 'done' });
    expect(pictures.at(-1)!.blobs.map(({ state }) => state)).toEqual(Array(4).fill('done'));
    for (const target of [mounted, sent]) {
      await ctr(['image', 'pull', '--plain-http', target], 'pushed');
    }
    await whenTold('sent', 'PUT');
    parts.registry.forgetRequests();
    await client.push(image.name, { to: sent });
    await whenTold('sent', 'HEAD');
    expect(writes('sent')).toEqual([]);
  });

  it('pushes one platform of an image of which no more is stored', async () => {
    const made = makeImage({ layers: layersOf(1), platforms: [hostPlatform(), FOREIGN] });
    const reference = await pushed('one', made);
    const image = await client.pull(reference, { by: 'client', platform: 'linux/s390x' });
    expect(await image.platforms()).toEqual([FOREIGN]);
    expect((await image.config()).architecture).toBe('s390x');
    const to = `${parts.registry.host}/client/only-${name}:1`;
    await expect(client.push(reference, { to })).rejects.toMatchObject({ kind: 'FailedPrecondition' });
    const target = await client.push(reference, { to, platform: 'linux/s390x' });
    expect(target.digest).toBe((await image.manifest()).descriptor.digest);
  });

  it('exports what ctr and the client import, and imports what ctr exports', async () => {
    using other = new Client(parts.other, { namespace: NAMESPACE });
    const made = makeImage({ layers: layersOf(2) });
    const reference = await pushed('export', made);
    await client.pull(reference, { by: 'client' });
    const archive = await buffer(client.export([reference]));
    const importing = parts.ctr.start(['image', 'import', '-'], { namespace: 'imported' });
    importing.stdin!.end(archive);
    expect(await once(importing, 'exit')).toEqual([0, null]);
    expect(await ctr(['image', 'check'], 'imported')).toMatch(/complete \(3\/3\)/);

    const [image] = await other.import(chunksOf(gzipSync(archive)));
    expect(image).toMatchObject({ name: reference, target: { digest: made.root.digest } });
    await image!.unpack();
    expect(await image!.isUnpacked()).toBe(true);

    const exporting = parts.ctr.start(['image', 'export', '-', reference], { namespace: NAMESPACE });
    const renamed = client.in({ namespace: 'renamed' });
    expect((await renamed.import(exporting.stdout!)).map((each) => each.name)).toEqual([reference]);
    await expectNothingLeft();
  });

  it('imports what docker saves, links among its members too', async () => {
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
    const [image] = await client.import(chunksOf(archive));
    expect(image!.name).toBe('docker.io/library/saved:1');
    await image!.unpack();
    expect(await image!.isUnpacked()).toBe(true);
    expect(await image!.diffIds()).toEqual([digestOf(layer), digestOf(layer)]);
  });

  it('refuses archives that are no good, and leaves nothing of them', async () => {
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
      const importing = client.import(chunksOf(bytes));
      await expect(importing, what).rejects.toMatchObject({
        kind: expect.stringMatching(/^(InvalidArgument|FailedPrecondition)$/),
      });
    }
    await expectNothingLeft();
    expect((await client.images.list()).map((image) => image.name)).toEqual(images);
  });

  it('gives names, and takes them back with all that they kept', async () => {
    const scope = client.in({ namespace: 'tags' });
    const made = makeImage({ layers: layersOf(1) });
    const reference = await pushed('tag', made);
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
}

/** Several nodes at once, by the service that a gateway passes it on to. */
export function fleetImagesSuite(stackOf: () => Stack): void {
  it('has nodes of a fleet take an image, and says which could not', async () => {
    const { state, socket, registry } = stackOf();
    using fleet = new Client(`${state}/image.sock`, { namespace: NAMESPACE });
    using runtime = new Client(`${state}/runtime.sock`);
    const { nodes } = await runtime.service(NodeService).list({});
    const node = nodes[0]!.id;
    const made = makeImage({ layers: layersOf(1) });
    const reference = await pushImage(registry.host, 'client/fleet', '1', made);
    const pictures: Progress[] = [];
    const image = await fleet.pull(reference, {
      nodes: [node],
      unpack: true,
      onProgress: (each) => pictures.push(each),
    });
    expect(image.target.digest).toBe(made.root.digest);
    expect(pictures.at(-1)).toMatchObject({
      phase: 'done',
      nodes: [{ node, isDone: true, error: undefined }],
    });
    using there = new Client(socket, { namespace: NAMESPACE });
    expect(await (await there.images.get(reference)).isUnpacked()).toBe(true);
    await expect(fleet.pull(reference, { nodes: [node, 'nobody'] })).rejects.toMatchObject({
      kind: 'NotFound',
      message: expect.stringContaining('1 of 2 nodes failed, nobody'),
    });
  });
}
