import { randomBytes, randomUUID } from 'node:crypto';
import { digestOf } from '@longshore/oci';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { BlobName, BlobStore } from '../../domain/blob-store.ts';
import { createTestBucket, S3_START_TIMEOUT_MS, type TestBucket } from '../../testing/test-bucket.ts';
import { describeBlobStore } from '../blob-store.suite.ts';
import { WRITER_BUDGET_BYTES } from './part-sizes.ts';
import { S3BlobStore } from './s3-blob-store.ts';

const MIB = 1024 * 1024;

let bucket: TestBucket;
const stores: S3BlobStore[] = [];

beforeAll(async () => {
  bucket = await createTestBucket();
}, S3_START_TIMEOUT_MS);

afterAll(async () => {
  for (const store of stores) store.close();
  await bucket.close();
});

/** On a part of the bucket that is empty. */
async function make(): Promise<S3BlobStore> {
  const prefix = `${bucket.options().prefix}${stores.length}/`;
  const store = new S3BlobStore(bucket.options({ prefix }));
  stores.push(store);
  return store;
}

describeBlobStore('s3', make);

async function publish(store: BlobStore, bytes: Uint8Array): Promise<BlobName> {
  const generation = randomUUID();
  const writer = await store.openWriter(generation, 1n, 0, () => undefined);
  await writer.write(bytes);
  const name = { digest: digestOf(bytes), generation };
  await writer.publish(name);
  return name;
}

async function urlOf(store: BlobStore, name: BlobName, lifetimeMs = 60_000): Promise<string> {
  const place = await store.locate(name, lifetimeMs);
  if (place.kind !== 'url') throw new Error('no URL');
  return place.url;
}

describe('S3BlobStore', () => {
  it('locates a blob by a URL that answers ranges, for this blob and for a time', async () => {
    const store = await make();
    const name = await publish(store, Buffer.from('hello world'));
    const url = await urlOf(store, name);
    expect(await (await fetch(url)).text()).toBe('hello world');
    const part = await fetch(url, { headers: { range: 'bytes=6-' } });
    expect([part.status, await part.text()]).toEqual([206, 'world']);
    const other = await publish(store, Buffer.from('another'));
    const stolen = url
      .replace(name.digest.slice(7), other.digest.slice(7))
      .replace(name.generation, other.generation);
    expect((await fetch(stolen)).status).toBe(403);
    const short = await urlOf(store, name, 1000);
    await vi.waitFor(async () => expect((await fetch(short)).status).toBe(403), {
      timeout: 10_000,
      interval: 200,
    });
  });

  it('signs for the host that nodes know', async () => {
    const publicEndpoint = new URL('https://s3.example.com:9000');
    const store = new S3BlobStore(bucket.options({ publicEndpoint, ca: 'PEM' }));
    const { bucket: name, prefix } = bucket.options();
    const generation = randomUUID();
    const place = await store.locate({ digest: digestOf(''), generation }, 60_000);
    expect(place).toMatchObject({ kind: 'url', ca: 'PEM' });
    const url = new URL(place.kind === 'url' ? place.url : '');
    expect(url.origin).toBe(publicEndpoint.origin);
    expect(url.pathname).toBe(`/${name}/${prefix}blobs/sha256/${digestOf('').slice(7)}/${generation}`);
    expect(url.searchParams.get('X-Amz-Expires')).toBe('60');
    store.close();
  });

  it('stores a small blob by one request, and knows that no part of it is left', async () => {
    const { prefix } = bucket.options();
    const store = await make();
    const name = await publish(store, Buffer.from('small'));
    const key = `${stores.length - 1}/blobs/sha256/${name.digest.slice(7)}/${name.generation}`;
    expect((await bucket.keys()).filter((found) => found.includes(name.generation))).toEqual([key]);
    expect(prefix).not.toBe('');
    await store.removeIngest(name.generation);
  });

  it('replaces what it has stored for durability by whole parts', async () => {
    const store = await make();
    const ingest = randomUUID();
    const writer = await store.openWriter(ingest, 1n, 0, () => undefined);
    for (let n = 0; n < 4; n++) {
      await writer.write(Buffer.alloc(MIB, n));
      expect(await writer.flush()).toBe((n + 1) * MIB);
    }
    const parts = async () =>
      (await bucket.keys()).filter((key) => key.includes(ingest)).map((key) => key.split('/').at(-1));
    expect(await parts()).toHaveLength(4);
    await writer.write(Buffer.alloc(5 * MIB, 9));
    await writer.flush();
    await vi.waitFor(async () =>
      expect(await parts()).toEqual(['000000000000000-8388608', '000000008388608-1048576']),
    );
    await writer.close();
    await store.removeIngest(ingest);
    expect(await parts()).toEqual([]);
  });

  it('holds a bounded part of a large ingest in memory', async () => {
    const store = await make();
    const ingest = randomUUID();
    const writer = await store.openWriter(ingest, 1n, 0, () => undefined);
    const chunk = randomBytes(MIB);
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    for (let n = 0; n < 96; n++) {
      await writer.write(chunk);
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    expect(most).toBeLessThan(WRITER_BUDGET_BYTES + 8 * MIB);
    await writer.close();
    await store.removeIngest(ingest);
  });
});
