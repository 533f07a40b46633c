import { randomBytes } from 'node:crypto';
import {
  type Descriptor,
  digestOf,
  hostPlatform,
  MediaType,
  type Platform,
  parseReference,
} from '@longshore/oci';
import { RegistryClient, RegistryTransport } from '@longshore/registry';
import { FakeRegistry } from '@longshore/registry/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type PullRequest, pullImage } from './pull-image.ts';
import { MemoryFleet, MemoryStore } from './testing/memory-store.ts';

const OTHER = { os: 'linux', architecture: 's390x' };

function addBlob(registry: FakeRegistry, mediaType: string, bytes: Buffer): Descriptor {
  registry.blobs.set(digestOf(bytes), bytes);
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

function addManifest(registry: FakeRegistry, mediaType: string, document: object, tag?: string): Descriptor {
  const bytes = Buffer.from(JSON.stringify(document));
  const digest = digestOf(bytes);
  registry.manifests.set(digest, { mediaType, bytes });
  if (tag !== undefined) registry.manifests.set(`a/b:${tag}`, { mediaType, bytes });
  return { mediaType, digest, size: bytes.length };
}

/** An index of two platforms, with five layers each. */
async function start() {
  const registry = await FakeRegistry.start();
  const image = (platform: Platform) => {
    const layers = Array.from({ length: 5 }, () =>
      addBlob(registry, MediaType.OciLayerGzip, randomBytes(100_000)),
    );
    const config = addBlob(registry, MediaType.OciConfig, Buffer.from(JSON.stringify(platform)));
    const manifest = { schemaVersion: 2, mediaType: MediaType.OciManifest, config, layers };
    return {
      config,
      layers,
      descriptor: { ...addManifest(registry, MediaType.OciManifest, manifest), platform },
    };
  };
  const [ours, other] = [image(hostPlatform()), image(OTHER)];
  const index = {
    schemaVersion: 2,
    mediaType: MediaType.OciIndex,
    manifests: [ours.descriptor, other.descriptor],
  };
  const target = addManifest(registry, MediaType.OciIndex, index, '1');
  const retry = { initialDelayMs: 1, maxDelayMs: 2, attempts: 3 };
  const transport = new RegistryTransport({ retry, silenceMs: 1_000 });
  onTestFinished(() => transport.close());
  const pull = (store: MemoryStore, more: Partial<PullRequest> = {}) =>
    pullImage({
      reference: parseReference(`${registry.host}/a/b:1`),
      client: new RegistryClient(transport, registry.host),
      store,
      platforms: [hostPlatform()],
      signal: new AbortController().signal,
      ...more,
    });
  return { registry, pull, ours, other, target };
}

describe('pullImage', () => {
  it('stores the image of the platform, with labels that keep its parts', async () => {
    const { registry, pull, ours, other, target } = await start();
    const store = new MemoryStore(new MemoryFleet());
    const statuses: Record<string, string> = {};
    const tree = await pull(store, {
      onBlob: ({ descriptor, status }) => {
        statuses[descriptor.digest] = status;
      },
    });
    expect(tree.target).toEqual(target);
    const expected = [target, ours.descriptor, ours.config, ...ours.layers].map(({ digest }) => digest);
    expect([...store.content.keys()].sort()).toEqual(expected.sort());
    const source = { 'containerd.io/distribution.source.127.0.0.1': 'a/b' };
    expect(store.content.get(target.digest)).toEqual({
      ...source,
      'containerd.io/gc.ref.content.m.0': ours.descriptor.digest,
      'containerd.io/gc.ref.content.m.1': other.descriptor.digest,
    });
    expect(store.content.get(ours.descriptor.digest)).toMatchObject({
      'containerd.io/gc.ref.content.config': ours.config.digest,
      'containerd.io/gc.ref.content.l.4': ours.layers[4]!.digest,
    });
    expect(store.content.get(ours.layers[0]!.digest)).toEqual(source);
    expect(new Set(Object.values(statuses))).toEqual(new Set(['done']));
    // Told of in the order of a tree.
    expect(Object.keys(statuses).slice(0, 3)).toEqual(
      [target, ours.descriptor, ours.config].map(({ digest }) => digest),
    );
    expect(registry.count(other.layers[0]!.digest)).toBe(0);
  });

  it('fetches each blob once for several who pull at the same time', async () => {
    const { registry, pull, ours } = await start();
    const fleet = new MemoryFleet();
    const stores = [1, 2, 3].map(() => new MemoryStore(fleet));
    await Promise.all(stores.map((store) => pull(store)));
    for (const { digest } of [ours.config, ...ours.layers]) expect(registry.count(digest)).toBe(1);
    for (const store of stores) expect(store.content.size).toBe(8);
  });

  it('links everything that is stored with one call', async () => {
    const { registry, pull } = await start();
    const fleet = new MemoryFleet();
    await pull(new MemoryStore(fleet));
    const blobRequests = registry.count('/blobs/');
    const second = new MemoryStore(fleet);
    await pull(second);
    expect(second.calls).toEqual(['link']);
    expect(registry.count('/blobs/')).toBe(blobRequests);
  });

  it('makes work wait for no more than the blobs that it wants', async () => {
    const { registry, pull, ours } = await start();
    registry.fail(`/v2/a/b/blobs/${ours.layers[4]!.digest}`, { stallAfterBytes: 1 });
    const seen: string[] = [];
    await pull(new MemoryStore(new MemoryFleet()), {
      onImage: async ({ manifest }, whenStored) => {
        await whenStored(manifest.layers[0]!.digest);
        seen.push('first');
        await whenStored(manifest.layers[4]!.digest);
        seen.push('last');
      },
      onBlob: ({ status, descriptor }) => {
        if (descriptor.digest === ours.layers[4]!.digest && status === 'done') seen.push('stored');
      },
    });
    expect(seen).toEqual(['first', 'stored', 'last']);
  });

  it('ends everything at the first failure, holding no claim', async () => {
    const { registry, pull, ours } = await start();
    const fleet = new MemoryFleet();
    const [bad, slow] = [ours.layers[1]!, ours.layers[2]!];
    registry.fail(`/v2/a/b/blobs/${bad.digest}`, { body: randomBytes(bad.size) });
    registry.fail(`/v2/a/b/blobs/${slow.digest}`, { stallAfterBytes: 1 });
    await expect(pull(new MemoryStore(fleet))).rejects.toMatchObject({
      kind: 'DataLoss',
      message: expect.stringContaining(bad.digest),
    });
    expect(fleet.claims.size).toBe(0);
  });

  it('leaves no claim and no part of a blob when it is given up', async () => {
    const { registry, pull, ours } = await start();
    for (const { digest } of ours.layers)
      registry.fail(`/v2/a/b/blobs/${digest}`, { stallAfterBytes: 50_000 });
    const fleet = new MemoryFleet();
    const store = new MemoryStore(fleet);
    const giveUp = new AbortController();
    const pulling = pull(store, { signal: giveUp.signal });
    pulling.catch(() => undefined);
    await vi.waitFor(() => expect(store.ingests.size).toBe(3));
    giveUp.abort();
    await expect(pulling).rejects.toMatchObject({ name: 'AbortError' });
    expect([fleet.claims.size, store.ingests.size]).toEqual([0, 0]);
  });

  it('lets another go on when the one who fetches gives up', async () => {
    const { registry, pull, ours } = await start();
    registry.fail(`/v2/a/b/blobs/${ours.layers[0]!.digest}`, { stallAfterBytes: 50_000 });
    const fleet = new MemoryFleet();
    const giveUp = new AbortController();
    const first = new MemoryStore(fleet);
    const given = pull(first, { signal: giveUp.signal });
    given.catch(() => undefined);
    await vi.waitFor(() => expect(first.ingests.size).toBe(1));
    const second = pull(new MemoryStore(fleet));
    giveUp.abort();
    await expect(given).rejects.toThrow();
    await expect(second).resolves.toBeDefined();
  });

  it('says which platform an index lacks', async () => {
    const { pull } = await start();
    const platforms = [{ os: 'linux', architecture: 'ppc64le' }];
    await expect(pull(new MemoryStore(new MemoryFleet()), { platforms })).rejects.toMatchObject({
      kind: 'NotFound',
      message: expect.stringContaining('no match for platform linux/ppc64le'),
    });
  });
});
