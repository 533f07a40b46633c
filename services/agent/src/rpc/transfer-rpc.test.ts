import { join } from 'node:path';
import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { chainIds, digestOf, hostPlatform, MediaType } from '@longshore/oci';
import { StreamInitSchema, Streaming } from '@longshore/proto/containerd/services/streaming/v1/streaming';
import { Transfer } from '@longshore/proto/containerd/services/transfer/v1/transfer';
import { ImageStoreSchema } from '@longshore/proto/containerd/types/transfer/imagestore';
import { ProgressSchema } from '@longshore/proto/containerd/types/transfer/progress';
import {
  AuthRequestSchema,
  AuthResponseSchema,
  AuthType,
  OCIRegistrySchema,
} from '@longshore/proto/containerd/types/transfer/registry';
import { Header } from '@longshore/proto/headers';
import { ImageService, type InstallResponse } from '@longshore/proto/longshore/node/v1/images';
import { RegistryTransport } from '@longshore/registry';
import { NO_TLS } from '@longshore/transport';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { BlobCache } from '../content/blob-cache.ts';
import { BlobSource } from '../content/blob-source.ts';
import { BlobUrls } from '../content/blob-urls.ts';
import { LayerApplier } from '../diff/apply.ts';
import { layersUnderTest, log } from '../snapshots/testing/layers-under-test.ts';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import { toControlPlane } from '../socket/control-plane.ts';
import { NodeImages } from '../transfer/node-images.ts';
import { StreamTable } from '../transfer/stream-table.ts';
import { ControlPlane } from '../transfer/testing/control-plane.ts';
import { type RegistryImage, registryImage } from '../transfer/testing/registry-image.ts';
import { Unpacker } from '../transfer/unpacker.ts';
import { imageInstallRpc } from './image-install-rpc.ts';
import { streamingRpc } from './streaming-rpc.ts';
import { served } from './testing/served.ts';
import { transferRpc } from './transfer-rpc.ts';

const options = { headers: { [Header.Namespace]: 'default' } };

/** The agent's part of transfers, with real layers, in front of a control plane that counts calls. */
async function start(plane?: ControlPlane) {
  plane ??= await ControlPlane.start();
  const { snapshots, catalogue, overlayfs } = await layersUnderTest();
  const applier = new LayerApplier({ tempDirectory: await scratchDirectory() });
  const cache = await BlobCache.open(join(await scratchDirectory(), 'cache'), 1024 * 1024);
  const { clients } = plane;
  const blobs = new BlobSource({
    blobs: clients.blobService,
    content: clients.content,
    cache,
    urls: new BlobUrls(NO_TLS),
  });
  const retry = { initialDelayMs: 1, maxDelayMs: 2, attempts: 3 };
  const transport = new RegistryTransport({ retry, silenceMs: 2_000 });
  onTestFinished(async () => {
    await transport.close();
    await applier.close();
  });
  const unpacker = new Unpacker({ snapshots, applier, blobs });
  const images = new NodeImages({ ...clients, blobs, unpacker, transport, cache, log });
  const streams = new StreamTable();
  const forward = toControlPlane('node-1');
  const transfer = await served(Transfer, transferRpc({ images, streams, toControlPlane: forward }));
  const streaming = await served(Streaming, streamingRpc(streams, new AbortController().signal));
  const install = await served(ImageService, imageInstallRpc(images, forward));
  const pull = (image: RegistryImage, more: object = {}, signal?: AbortSignal) =>
    transfer.transfer(
      {
        source: any(OCIRegistrySchema, { reference: image.reference, ...more }),
        destination: any(ImageStoreSchema, {
          name: image.reference,
          platforms: [here()],
          unpacks: [{ snapshotter: '' }],
        }),
        ...(Reflect.has(more, 'options') && (more as { options: object })),
      },
      { ...options, signal },
    );
  return { plane, catalogue, overlayfs, transfer, streaming, install, pull, cache };
}

function here() {
  const { os, architecture, variant = '' } = hostPlatform();
  return { os, architecture, variant };
}

function any<D extends DescMessage>(schema: D, init: MessageInitShape<D>) {
  return { typeUrl: schema.typeName, value: toBinary(schema, create(schema, init)) };
}

type Encoded = ReturnType<typeof any>;

/** A client's end of a stream: what came, and a way to answer. */
async function openStream(
  streaming: Awaited<ReturnType<typeof start>>['streaming'],
  id: string,
  onMessage: (message: Any, send: (answer: Encoded) => void) => void,
) {
  const queue = [any(StreamInitSchema, { id })];
  let wake = () => {};
  const send = (message: Encoded) => {
    queue.push(message);
    wake();
  };
  let isOver = false;
  const answers = streaming
    .stream(
      (async function* () {
        while (!isOver) {
          const next = queue.shift();
          if (next) yield next;
          else await new Promise<void>((resolve) => (wake = resolve));
        }
      })(),
      options,
    )
    [Symbol.asyncIterator]();
  const { value: acknowledged } = await answers.next();
  expect(acknowledged?.typeUrl).toBe('google.protobuf.Empty');
  const ended = (async () => {
    for (let next = await answers.next(); !next.done; next = await answers.next())
      onMessage(next.value, send);
    isOver = true;
    wake();
  })();
  // A stream that nobody closes ends with its server.
  ended.catch(() => undefined);
  return { ended };
}

describe('Transfer of an image from a registry', () => {
  it('stores, unpacks and records it, in few round trips', async () => {
    const image = await registryImage(4);
    const { plane, catalogue, pull } = await start();
    await pull(image);
    const names = chainIds(image.diffIds);
    expect([...catalogue.snapshots.keys()]).toEqual(names);
    expect(plane.images.get(image.reference)).toBe(image.target.digest);
    expect(plane.contents.get(image.config.digest)).toMatchObject({
      'containerd.io/gc.ref.snapshot.overlayfs': names[3],
    });
    image.layers.forEach(({ digest }, n) => {
      expect(plane.contents.get(digest)?.['containerd.io/uncompressed']).toBe(image.diffIds[n]);
    });
    expect([plane.leases.size, plane.claims.size, plane.ingests.size]).toEqual([0, 0, 0]);
    // All in this node's scope, under the lease of the transfer.
    expect(new Set(plane.calls.map((call) => call.split(' ').slice(1, 3).join(' ')))).toEqual(
      new Set(['default node-1']),
    );
    expect(
      plane.calls.filter((call) => /^(Link|Write|Create \S+ \S+ leased)/.test(call) && call.endsWith('-')),
    ).toEqual([]);
    // Each layer waits for: Acquire, Write, Prepare, Commit. Release is sent, and not waited for.
    const perLayer = ['Acquire', 'Write'].map((method) => plane.count(method));
    expect(perLayer).toEqual([5, 6]);
    expect(catalogue.calls.filter((call) => call === 'prepare' || call === 'commit').length).toBe(8);
    expect([plane.count('Locate'), plane.count('Read'), plane.count('Link')]).toEqual([0, 0, 2]);
  });

  it('costs the next node no blob, and what is unpacked nothing but a look', async () => {
    const image = await registryImage(3);
    const first = await start();
    await first.pull(image);
    const before = image.registry.count('/blobs/');
    const second = await start(first.plane);
    first.plane.calls.length = 0;
    await second.pull(image);
    expect(image.registry.count('/blobs/')).toBe(before);
    expect(first.plane.count('Write') + first.plane.count('Acquire')).toBe(0);
    expect(second.catalogue.snapshots.size).toBe(3);

    second.catalogue.calls.length = 0;
    await second.pull(image);
    expect(second.catalogue.calls).toEqual(['get', 'get', 'prepare']);
  });

  it('unpacks each layer once for two who ask at the same time', async () => {
    const image = await registryImage(3);
    const { catalogue, pull } = await start();
    await Promise.all([pull(image), pull(image)]);
    expect(catalogue.calls.filter((call) => call === 'commit').length).toBe(3);
    for (const { digest } of image.layers) expect(image.registry.count(digest)).toBe(1);
  });

  it('unpacks layers before those below them are here, and commits them in their order', async () => {
    const image = await registryImage(3);
    const { catalogue, pull } = await start();
    const lowest = Promise.withResolvers<void>();
    // Those who wait for long ask again.
    const held = Array.from({ length: 3 }, () => ({ until: lowest.promise }));
    image.registry.fail(`/v2/a/b/blobs/${image.layers[0]!.digest}`, ...held);
    const pulling = pull(image);
    await vi.waitFor(() => expect(catalogue.calls.filter((call) => call === 'prepare').length).toBe(3));
    expect(catalogue.calls).not.toContain('commit');
    lowest.resolve();
    await pulling;
    const names = chainIds(image.diffIds);
    expect([...catalogue.snapshots].map(([name, { parent }]) => [name, parent])).toEqual([
      [names[0], ''],
      [names[1], names[0]],
      [names[2], names[1]],
    ]);
  });

  it('leaves nothing when it is given up', async () => {
    const image = await registryImage(3);
    const { plane, catalogue, overlayfs, pull } = await start();
    image.registry.fail(`/v2/a/b/blobs/${image.layers[2]!.digest}`, { stallAfterBytes: 5 });
    const giveUp = new AbortController();
    const pulling = pull(image, {}, giveUp.signal);
    pulling.catch(() => undefined);
    const names = () => [...catalogue.snapshots.keys()].sort();
    const committed = chainIds(image.diffIds).slice(0, 2).sort();
    await vi.waitFor(() => expect(names()).toEqual([expect.stringMatching(/^extract-/), ...committed]));
    giveUp.abort();
    await expect(pulling).rejects.toMatchObject({ kind: 'Canceled' });
    await vi.waitFor(() =>
      expect([plane.leases.size, plane.claims.size, plane.ingests.size]).toEqual([0, 0, 0]),
    );
    expect(plane.images.size).toBe(0);
    // Layers that were committed are the collector's; nothing half done is left.
    expect(names()).toEqual(committed);
    expect((await overlayfs.directories.list()).length).toBe(catalogue.snapshots.size);
  });

  it('removes what it made of a layer that is not what its config says', async () => {
    const image = await registryImage(2);
    const { catalogue, plane, pull } = await start();
    const config = JSON.parse(image.registry.blobs.get(image.config.digest)!.toString());
    config.rootfs.diff_ids[1] = image.diffIds[0];
    const other = await registryImage(1);
    const wrong = { ...image, reference: other.reference };
    const bytes = Buffer.from(JSON.stringify(config));
    for (const [digest, blob] of image.registry.blobs) other.registry.blobs.set(digest, blob);
    other.registry.blobs.set(digestOf(bytes), bytes);
    const manifest = {
      schemaVersion: 2,
      mediaType: MediaType.OciManifest,
      config: { mediaType: MediaType.OciConfig, digest: digestOf(bytes), size: bytes.length },
      layers: image.layers,
    };
    other.registry.manifests.set('a/b:1', {
      mediaType: MediaType.OciManifest,
      bytes: Buffer.from(JSON.stringify(manifest)),
    });
    await expect(pull(wrong)).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message: expect.stringContaining('wrong diff id'),
    });
    // The lower one is there if it was faster.
    expect([...catalogue.snapshots.keys()].filter((name) => name !== image.diffIds[0])).toEqual([]);
    expect(plane.images.size).toBe(0);
  });

  it('asks the client for credentials, and tells it how it goes', async () => {
    const image = await registryImage(2);
    image.registry.auth = { kind: 'bearer', username: 'alice', password: 'secret' };
    const { streaming, transfer } = await start();
    const asked: unknown[] = [];
    await openStream(streaming, 'auth-1', ({ value }, send) => {
      const { host, reference } = fromBinary(AuthRequestSchema, value);
      asked.push({ host, reference });
      send(any(AuthResponseSchema, { authType: AuthType.CREDENTIALS, username: 'alice', secret: 'secret' }));
    });
    const events: string[] = [];
    const progress = await openStream(streaming, 'progress-1', ({ value }) => {
      const { event, name } = fromBinary(ProgressSchema, value);
      events.push(name ? `${event} ${name.slice(0, 12)}` : event);
    });
    await transfer.transfer(
      {
        source: any(OCIRegistrySchema, { reference: image.reference, resolver: { authStream: 'auth-1' } }),
        destination: any(ImageStoreSchema, { name: 'mine', platforms: [here()] }),
        options: { progressStream: 'progress-1' },
      },
      options,
    );
    await progress.ended;
    expect(asked).toEqual([{ host: image.registry.host, reference: image.reference.replace(':1', '') }]);
    expect(events[0]).toBe(`Resolving from OCI Registry (${image.reference})`);
    expect(events).toContain('saved mine');
    expect(events.some((event) => event.startsWith('complete layer-sha25'))).toBe(true);
    expect(events.at(-1)).toBe(`Completed pull from OCI Registry (${image.reference})`);
  });

  it('does not wait for credentials after its caller has gone', async () => {
    const image = await registryImage(1);
    image.registry.auth = { kind: 'basic', username: 'alice', password: 'secret' };
    const { plane, streaming, transfer } = await start();
    const asked = Promise.withResolvers<void>();
    await openStream(streaming, 'auth-2', () => asked.resolve());
    const giveUp = new AbortController();
    const request = {
      source: any(OCIRegistrySchema, { reference: image.reference, resolver: { authStream: 'auth-2' } }),
      destination: any(ImageStoreSchema, { name: 'mine' }),
    };
    const pulling = transfer.transfer(request, { ...options, signal: giveUp.signal });
    pulling.catch(() => undefined);
    await asked.promise;
    expect(plane.leases.size).toBe(1);
    giveUp.abort();
    await vi.waitFor(() => expect(plane.leases.size).toBe(0));
  });

  it('says what it does not do', async () => {
    const { transfer } = await start();
    const store = any(ImageStoreSchema, { name: 'a' });
    const registry = any(OCIRegistrySchema, { reference: 'h/a:1' });
    await expect(transfer.transfer({ source: store, destination: registry }, options)).rejects.toMatchObject({
      kind: 'Unimplemented',
      message: expect.stringContaining('transfer from containerd.types.transfer.ImageStore'),
    });
    const unknown = { source: registry, destination: store, options: { progressStream: 'none' } };
    await expect(transfer.transfer(unknown, options)).rejects.toMatchObject({ kind: 'NotFound' });
  });
});

describe('Install', () => {
  const request = (image: RegistryImage) => ({
    name: image.reference,
    target: {
      mediaType: image.target.mediaType,
      digest: image.target.digest,
      size: BigInt(image.target.size),
    },
    registry: image.registry.host,
  });

  it('links, unpacks and records what the fleet has', async () => {
    const image = await registryImage(3);
    const { plane, catalogue, install } = await start();
    for (const [digest, bytes] of image.registry.blobs) plane.blobs.set(digest, bytes);
    plane.blobs.set(image.target.digest, image.registry.manifests.get('a/b:1')!.bytes);
    const told: InstallResponse[] = [];
    for await (const response of install.install(request(image), options)) told.push(response);
    expect(told.at(-1)?.layers.map(({ status }) => status)).toEqual(['done', 'done', 'done']);
    expect([...catalogue.snapshots.keys()]).toEqual(chainIds(image.diffIds));
    expect(plane.images.get(image.reference)).toBe(image.target.digest);
    expect(image.registry.requests).toEqual([]);
    expect(plane.count('Link')).toBe(3);
  });

  it('names a blob that the fleet does not have', async () => {
    const image = await registryImage(2);
    const { plane, install } = await start();
    plane.blobs.set(image.target.digest, image.registry.manifests.get('a/b:1')!.bytes);
    const installing = Array.fromAsync(install.install(request(image), options));
    await expect(installing).rejects.toMatchObject({
      kind: 'NotFound',
      message: expect.stringContaining(image.config.digest),
    });
    expect([plane.images.size, plane.leases.size]).toEqual([0, 0]);
  });
});
