import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gunzipSync, gzipSync } from 'node:zlib';
import { fromBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { alreadyExists, LongshoreError, notFound } from '@longshore/errors';
import type { Call } from '@longshore/kit';
import { digestOf, MediaType } from '@longshore/oci';
import { Content, WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { Diff } from '@longshore/proto/containerd/services/diff/v1/diff';
import { Header } from '@longshore/proto/headers';
import { BlobService } from '@longshore/proto/longshore/content/v1/blobs';
import { NO_TLS } from '@longshore/transport';
import { pack } from 'tar-stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BlobCache } from '../content/blob-cache.ts';
import { BlobSource } from '../content/blob-source.ts';
import { BlobUrls } from '../content/blob-urls.ts';
import { LayerApplier, type StreamProcessor } from '../diff/apply.ts';
import { LayerComparer } from '../diff/compare/layer-comparer.ts';
import { OverlayfsSnapshotter } from '../snapshots/overlayfs/overlayfs-snapshotter.ts';
import { newLayer } from '../snapshots/testing/new-layer.ts';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import { toControlPlane } from '../socket/control-plane.ts';
import { mountToProto } from './convert-mount.ts';
import { diffRpc } from './diff-rpc.ts';
import { served } from './testing/served.ts';

const options = { headers: { [Header.Namespace]: 'default' } };

async function layer(): Promise<{ tar: Buffer; blob: Buffer }> {
  const archive = pack();
  archive.entry({ name: 'etc/', type: 'directory', mode: 0o755 });
  archive.entry({ name: 'etc/greeting' }, 'hello');
  archive.finalize();
  const tar = await buffer(archive);
  return { tar, blob: gzipSync(tar) };
}

/** A content service that has one blob, in a file that is or is not on this host. */
async function start(
  blob: Buffer,
  place: 'here' | 'elsewhere',
  cacheBytes = 1024 * 1024,
  commit?: () => void,
  processors: readonly StreamProcessor[] = [],
) {
  const path = join(await scratchDirectory(), 'blob');
  if (place === 'here') await writeFile(path, blob);
  const digest = digestOf(blob);
  const calls: string[] = [];
  const hold = (wanted: string, method: string, call: Call) => {
    calls.push(`${method} ${call.namespace} ${call.node}`);
    if (wanted !== digest) throw notFound(`content ${wanted}`);
  };
  const stored = { bytes: [] as Uint8Array[], digest: '', labels: {} as Record<string, string>, ingests: 0 };
  const content = await served(Content, {
    async *write(requests) {
      for await (const { action, offset, data, labels, expected } of requests) {
        stored.ingests = 1;
        stored.bytes.push(data);
        if (action === WriteAction.COMMIT) {
          commit?.();
          Object.assign(stored, { labels, digest: expected, ingests: 0 });
        }
        yield { action, offset: offset + BigInt(data.length) };
      }
    },
    async abort() {
      stored.ingests = 0;
      return {};
    },
    async info({ digest }) {
      return { info: { digest, labels: stored.labels } };
    },
    async update({ info, updateMask }) {
      for (const path of updateMask?.paths ?? []) {
        const name = path.replace('labels.', '');
        stored.labels[name] = info?.labels[name] ?? '';
      }
      return {};
    },
    async *read(request, call) {
      hold(request.digest, 'read', call);
      const half = Math.floor(blob.length / 2);
      yield { offset: 0n, data: blob.subarray(0, half) };
      yield { offset: BigInt(half), data: blob.subarray(half) };
    },
  });
  const blobs = await served(BlobService, {
    async locate(request, call) {
      hold(request.digest, 'locate', call);
      return { size: BigInt(blob.length), place: { file: path, url: '' } };
    },
    async verify(request, call) {
      hold(request.digest, 'verify', call);
      return { corruptReason: '' };
    },
  });
  const applier = new LayerApplier({ tempDirectory: await scratchDirectory(), processors, env: process.env });
  onTestFinished(() => applier.close());
  const cache = await BlobCache.open(await scratchDirectory(), cacheBytes);
  const source = new BlobSource({ blobs, content, cache, urls: new BlobUrls(NO_TLS) });
  const tempDirectory = await scratchDirectory();
  const comparer = new LayerComparer({ tempDirectory });
  onTestFinished(() => comparer.close());
  const client = await served(
    Diff,
    diffRpc({ blobs: source, content, applier, comparer, toControlPlane: toControlPlane('node-1') }),
  );
  return { client, digest, calls, path, stored, tempDirectory };
}

async function overlay() {
  const snapshotter = await OverlayfsSnapshotter.open(join(await scratchDirectory(), 'overlayfs'));
  const parent = newLayer('active');
  const active = newLayer('active', [parent.generation]);
  await snapshotter.create(parent);
  await snapshotter.create(active);
  const fs = join(snapshotter.directories.pathOf(active.generation), 'fs');
  return { fs, mounts: snapshotter.mounts(active).map(mountToProto) };
}

describe('Diff.Apply', () => {
  it.each([
    ['here', ['locate default node-1']],
    ['elsewhere', ['locate default node-1', 'read default node-1']],
  ] as const)('unpacks a blob whose file is %s and describes the archive', async (place, expectedCalls) => {
    const { tar, blob } = await layer();
    const { client, digest, calls } = await start(blob, place);
    const { fs, mounts } = await overlay();
    const { applied } = await client.apply(
      { diff: { digest, mediaType: MediaType.OciLayerGzip }, mounts },
      options,
    );
    expect(applied).toMatchObject({
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      digest: digestOf(tar),
      size: BigInt(tar.length),
    });
    expect(await readFile(join(fs, 'etc/greeting'), 'utf8')).toBe('hello');
    expect(calls).toEqual(expectedCalls);
  });

  it('reads a blob from elsewhere once, and one that its cache has no room for each time', async () => {
    const { blob } = await layer();
    for (const [cacheBytes, reads] of [
      [1024 * 1024, 1],
      [10, 2],
    ] as const) {
      const { client, digest, calls } = await start(blob, 'elsewhere', cacheBytes);
      const diff = { digest, mediaType: MediaType.OciLayerGzip };
      for (const _ of ['first', 'second']) {
        const { fs, mounts } = await overlay();
        await client.apply({ diff, mounts }, options);
        expect(await readFile(join(fs, 'etc/greeting'), 'utf8')).toBe('hello');
      }
      expect(calls.filter((call) => call.startsWith('read')).length).toBe(reads);
    }
  });

  it.each([
    ['a packed layer', MediaType.OciLayerGzip, ({ blob }: { blob: Buffer }) => blob],
    ['a plain one, whose archive is as good as any', MediaType.OciLayer, ({ tar }: { tar: Buffer }) => tar],
  ])(
    'takes no wrong byte of a file for %s, and has the content service look at it',
    async (_, mediaType, bytesOf) => {
      const bytes = bytesOf(await layer());
      const { client, digest, calls, path } = await start(bytes, 'here');
      const at = mediaType === MediaType.OciLayer ? bytes.indexOf('hello') : bytes.length - 12;
      const wrong = Buffer.from(bytes);
      wrong[at] = wrong[at]! ^ 1;
      await writeFile(path, wrong);
      const { mounts } = await overlay();
      await expect(client.apply({ diff: { digest, mediaType }, mounts }, options)).rejects.toMatchObject({
        kind: expect.stringMatching(/DataLoss|InvalidArgument/),
      });
      expect(calls.at(-1)).toBe('verify default node-1');
    },
  );

  it('gives a stream processor the message that is meant for it', async () => {
    const { tar, blob } = await layer();
    const out = join(await scratchDirectory(), 'payload');
    const mediaType = 'a/b+encrypted';
    const processor = {
      id: 'decoder',
      accepts: [mediaType],
      returns: MediaType.OciLayerGzip,
      path: 'sh',
      args: ['-c', 'cat <&3 >$0; exec cat', out],
      env: [],
    };
    const { client, digest } = await start(blob, 'here', 0, undefined, [processor]);
    const { mounts } = await overlay();
    const payload = { typeUrl: 'keys', value: Buffer.from('secret') };
    const { applied } = await client.apply(
      { diff: { digest, mediaType }, mounts, payloads: { decoder: payload } },
      options,
    );
    expect(applied?.digest).toBe(digestOf(tar));
    const { typeUrl, value } = fromBinary(AnySchema, await readFile(out));
    expect([typeUrl, Buffer.from(value).toString()]).toEqual(['keys', 'secret']);
  });

  it('tells what is wrong with the blob', async () => {
    const { blob } = await layer();
    const { client, digest } = await start(blob, 'here');
    const { mounts } = await overlay();
    const missing = digestOf('missing');
    const diff = { digest: missing, mediaType: MediaType.OciLayerGzip };
    await expect(client.apply({ diff, mounts }, options)).rejects.toMatchObject({
      kind: 'NotFound',
      message: `failed to get reader from content store: content ${missing}: not found`,
    });
    const unknown = { digest, mediaType: 'application/x-unknown' };
    await expect(client.apply({ diff: unknown, mounts }, options)).rejects.toThrow(
      /no processor for media-type/,
    );
    const malformed = { digest: 'sha256:short', mediaType: MediaType.OciLayerGzip };
    await expect(client.apply({ diff: malformed, mounts }, options)).rejects.toMatchObject({
      kind: 'InvalidArgument',
    });
    await expect(client.apply({ mounts }, options)).rejects.toMatchObject({ kind: 'InvalidArgument' });
  });
});

describe('Diff.Diff', () => {
  const UNCOMPRESSED = 'containerd.io/uncompressed';
  const right = async () => {
    const source = await scratchDirectory();
    await writeFile(join(source, 'file'), 'hello');
    return [mountToProto({ type: 'bind', source, options: ['rbind'] })];
  };

  it('stores the layer with its labels, and tells of it', async () => {
    const { client, stored } = await start(Buffer.from('x'), 'here');
    const { diff } = await client.diff({ right: await right(), labels: { a: 'b' } }, options);
    const bytes = Buffer.concat(stored.bytes);
    const digest = digestOf(bytes);
    expect(diff).toMatchObject({ mediaType: MediaType.OciLayerGzip, digest, size: BigInt(bytes.length) });
    const diffId = digestOf(gunzipSync(bytes));
    expect(stored).toMatchObject({ digest, labels: { a: 'b', [UNCOMPRESSED]: diffId }, ingests: 0 });
  });

  it('says of one that was there before what is in it', async () => {
    const { client, stored } = await start(Buffer.from('x'), 'here', 0, () => {
      throw alreadyExists('content');
    });
    await client.diff({ right: await right(), labels: { a: 'b' } }, options);
    const diffId = digestOf(gunzipSync(Buffer.concat(stored.bytes)));
    expect(stored.labels).toEqual({ [UNCOMPRESSED]: diffId });
  });

  it('leaves no ingest but one that its caller has named, and no mount, when it fails', async () => {
    const { client, stored, tempDirectory } = await start(Buffer.from('x'), 'here', 0, () => {
      throw new LongshoreError('ResourceExhausted', 'disk full');
    });
    for (const [ref, ingests] of [
      ['', 0],
      ['named', 1],
    ] as const) {
      await expect(client.diff({ right: await right(), ref }, options)).rejects.toThrow('disk full');
      expect(stored.ingests).toBe(ingests);
    }
    expect(await readdir(tempDirectory)).toEqual([]);
  });
});
