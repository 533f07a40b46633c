import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { digestOf } from '@longshore/oci';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Header } from '@longshore/proto/headers';
import { BlobService } from '@longshore/proto/longshore/content/v1/blobs';
import { TestAuthority } from '@longshore/transport/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { served } from '../rpc/testing/served.ts';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import { BlobCache } from './blob-cache.ts';
import { BlobSource, type OpenedBlob } from './blob-source.ts';
import { BlobUrls } from './blob-urls.ts';

const BLOB = randomBytes(300_000);
const digest = digestOf(BLOB);
const options = { headers: { [Header.Namespace]: 'default' } };

interface Faults {
  /** Of the certificate that the URL's server shows. */
  identity?: string;
  /** Answers so in place of the blob. */
  status?: number;
  /** Cuts the first answer after this many bytes. */
  cutAfterBytes?: number;
  cacheBytes?: number;
  /** In place of the blob. */
  bytes?: Buffer;
}

/** A content service on another host: its file is not to be seen here, and it gives URLs. */
async function start({
  identity = 'service/content',
  status,
  cutAfterBytes,
  cacheBytes = 1 << 20,
  bytes = BLOB,
}: Faults = {}) {
  const authority = new TestAuthority(await scratchDirectory());
  const { tlsCert, tlsKey } = authority.issue(identity);
  const requests: string[] = [];
  const server = createServer(
    { cert: readFileSync(tlsCert), key: readFileSync(tlsKey) },
    (request, response) => {
      const { range = 'all' } = request.headers;
      requests.push(range);
      const begin = Number(/^bytes=(\d+)-$/.exec(range)?.[1] ?? 0);
      response.writeHead(status ?? (begin > 0 ? 206 : 200));
      if (requests.length > 1 || cutAfterBytes === undefined) response.end(bytes.subarray(begin));
      else response.write(bytes.subarray(0, cutAfterBytes), () => response.destroy());
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/blob?signature=secret`;
  let reads = 0;
  const content = await served(Content, {
    async *read({ offset }) {
      reads += 1;
      yield { data: bytes.subarray(Number(offset)) };
    },
  });
  const blobs = await served(BlobService, {
    locate: async () => ({ size: BigInt(BLOB.length), place: { file: '/nowhere/blob', url } }),
  });
  const urls = new BlobUrls(authority.issue('node/n1'));
  const cache = await BlobCache.open(join(await scratchDirectory(), 'cache'), cacheBytes);
  onTestFinished(async () => {
    await urls.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const source = new BlobSource({ blobs, content, cache, urls });
  const open = async () => source.open(await source.locate(digest, options), options);
  return { source, cache, open, requests, reads: () => reads };
}

async function contentOf(opened: OpenedBlob): Promise<Buffer> {
  const source = opened.source();
  if (source instanceof Readable) return buffer(source);
  return readFile(typeof source === 'string' ? source : source.path);
}

describe('BlobSource', () => {
  it('reads by the URL, once for all who ask', async () => {
    const { open, requests, reads } = await start();
    const all = await Promise.all([open(), open(), open()]);
    for (const opened of all) expect((await contentOf(opened)).equals(BLOB)).toBe(true);
    expect([requests, reads()]).toEqual([['all'], 0]);
  });

  it('goes on where the connection was cut', async () => {
    const { open, requests, reads } = await start({ cutAfterBytes: 100_000 });
    expect((await contentOf(await open())).equals(BLOB)).toBe(true);
    expect(requests).toEqual(['all', expect.stringMatching(/^bytes=[1-9]\d*-$/)]);
    expect(reads()).toBe(0);
  });

  it('reads through the API when the URL is no good', async () => {
    const { open, requests, reads } = await start({ status: 403 });
    expect((await contentOf(await open())).equals(BLOB)).toBe(true);
    expect([requests.length, reads()]).toEqual([1, 1]);
  });

  it('takes nothing from a server that is not the content service', async () => {
    const { open, requests, reads } = await start({ identity: 'node/n2' });
    expect((await contentOf(await open())).equals(BLOB)).toBe(true);
    expect([requests.length, reads()]).toEqual([0, 1]);
  });

  it('streams what its cache has no room for', async () => {
    const { open, requests } = await start({ cacheBytes: 1000 });
    const opened = await open();
    expect(requests).toEqual([]);
    expect((await contentOf(opened)).equals(BLOB)).toBe(true);
  });

  it('takes nothing from the URL that is not the blob, and forgets what it has once it turns out wrong', async () => {
    const wrong = Buffer.from(BLOB).reverse();
    const { open, source, cache } = await start({ bytes: wrong });
    await expect(open()).rejects.toMatchObject({ kind: 'DataLoss' });
    const right = (await cache.get(
      digest,
      BLOB.length,
      () => Readable.from([BLOB]),
      new AbortController().signal,
    ))!;
    right.close();
    await source.doubt(digest, options);
    expect(cache.find(digest)).toBeUndefined();
    expect(cache.sizeBytes).toBe(0);
  });

  it('gives the whole of what is small', async () => {
    const { source } = await start();
    const held = await source.locate(digest, options);
    expect((await source.readSmall(held, options)).equals(BLOB)).toBe(true);
    const file = join(await scratchDirectory(), 'blob');
    await writeFile(file, Buffer.from(BLOB).reverse());
    const wrong = { ...held, place: { file, url: '' } };
    await expect(source.readSmall(wrong, options)).rejects.toMatchObject({ kind: 'DataLoss' });
    const tooLarge = { ...held, sizeBytes: 100 * 1024 * 1024 };
    await expect(source.readSmall(tooLarge, options)).rejects.toMatchObject({ kind: 'ResourceExhausted' });
  });
});
