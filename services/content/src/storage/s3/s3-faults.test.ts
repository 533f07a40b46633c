import { randomBytes, randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { digestOf } from '@longshore/oci';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { BlobName, PartWriter } from '../../domain/blob-store.ts';
import { type Fault, S3FaultProxy } from '../../testing/s3-fault-proxy.ts';
import { createTestBucket, S3_START_TIMEOUT_MS, type TestBucket } from '../../testing/test-bucket.ts';
import { WRITER_BUDGET_BYTES } from './part-sizes.ts';
import { S3BlobStore } from './s3-blob-store.ts';
import type { S3Options } from './s3-options.ts';

vi.setConfig({ testTimeout: 60_000 });

const MIB = 1024 * 1024;
const TIMEOUT_MS = 1500;
const ignore = () => undefined;

let bucket: TestBucket;
let proxy: S3FaultProxy;
let store: S3BlobStore;

beforeAll(async () => {
  bucket = await createTestBucket();
  proxy = await S3FaultProxy.start(bucket.options().endpoint);
  store = new S3BlobStore(behindProxy());
}, S3_START_TIMEOUT_MS);

afterAll(async () => {
  store.close();
  await proxy[Symbol.asyncDispose]();
  await bucket.close();
});

beforeEach(() => {
  proxy.faults = () => undefined;
  proxy.requests.length = 0;
});

function behindProxy(overrides: Partial<S3Options> = {}): S3Options {
  return bucket.options({ endpoint: proxy.endpoint, timeoutMs: TIMEOUT_MS, ...overrides });
}

/** Each request that matches meets the fault, the first so many times that it is made. */
function fail(times: number, fault: Fault, matches: (line: string) => boolean = () => true): void {
  const seen = new Map<string, number>();
  proxy.faults = ({ method, url }) => {
    const line = `${method} ${url}`;
    const count = (seen.get(line) ?? 0) + 1;
    seen.set(line, count);
    return matches(line) && count <= times ? fault : undefined;
  };
}

async function publish(bytes: Uint8Array, generation: string = randomUUID()): Promise<BlobName> {
  const writer = await store.openWriter(generation, 1n, 0, ignore);
  await writer.write(bytes);
  const name = { digest: digestOf(bytes), generation };
  await writer.publish(name);
  return name;
}

async function digestOfStored(name: BlobName): Promise<string> {
  await using reader = await store.open(name);
  const pieces = [];
  for (let at = 0; at < reader.sizeBytes; at += MIB) pieces.push(await reader.read(at, MIB));
  return digestOf(Buffer.concat(pieces));
}

const isCopy = (line: string) => line.includes('partNumber=1&') || line.endsWith('partNumber=1');
const isPart = (line: string) => line.startsWith('PUT') && line.includes('/ingests/');

describe('s3 blob store, when the server or the network fails', () => {
  it.each([
    ['says SlowDown', { answer: 503, code: 'SlowDown' }, 9 * MIB],
    ['says 500 without a word', { answer: 500 }, 9 * MIB],
    ['says nothing', 'hang', MIB],
    ['breaks the connection before it answers', 'lose-answer', 9 * MIB],
  ] satisfies [string, Fault, number][])('goes on after each request %s once', async (_, fault, size) => {
    // Silence ends after TIMEOUT_MS, not with the deadline of a request that moves.
    const deadline = performance.now() + 30_000;
    fail(1, fault);
    const bytes = randomBytes(size);
    const name = await publish(bytes);
    expect(await digestOfStored(name)).toBe(name.digest);
    await store.removeIngest(name.generation);
    await store.removeBlob(name);
    proxy.faults = () => undefined;
    await expect(store.open(name)).rejects.toMatchObject({ kind: 'NotFound' });
    const left = (await bucket.keys()).filter((key) => key.includes(name.generation));
    // An upload that was begun and never heard of again; see discardUnfinished.
    expect(left.every((key) => key.startsWith('blobs/'))).toBe(true);
    expect(performance.now()).toBeLessThan(deadline);
  });

  it('is unavailable, by its code, when the server keeps saying SlowDown; the ingest stays', async () => {
    const ingest = randomUUID();
    const writer = await store.openWriter(ingest, 1n, 0, ignore);
    await writer.write(Buffer.from('durable'));
    expect(await writer.flush()).toBe(7);
    fail(100, { answer: 503, code: 'SlowDown' });
    const away = { kind: 'Unavailable', cause: { code: 'SlowDown' } };
    await writer.write(Buffer.from(' or not'));
    await expect(writer.flush()).rejects.toMatchObject(away);
    await expect(store.open({ digest: digestOf('x'), generation: ingest })).rejects.toMatchObject(away);
    proxy.faults = () => undefined;
    const next = await store.openWriter(ingest, 2n, 7, ignore);
    expect(next.sizeBytes).toBe(7);
    await next.close();
  });

  it('says when the store is full, and at once', async () => {
    fail(100, { answer: 403, code: 'QuotaExceeded' });
    await expect(publish(Buffer.from('too much'))).rejects.toMatchObject({
      kind: 'ResourceExhausted',
      cause: { code: 'QuotaExceeded' },
    });
    expect(proxy.requests).toHaveLength(1);
  });

  it('reads on where a body was cut', async () => {
    const name = await publish(randomBytes(6 * MIB));
    fail(1, { cutAnswerAfter: 700_000 }, (line) => line.startsWith('GET'));
    expect(await digestOfStored(name)).toBe(name.digest);
    let answers = 0;
    proxy.faults = ({ method }) =>
      method === 'GET' && answers++ < 4 ? { cutAnswerAfter: 900_001 } : undefined;
    expect(await digestOfStored(name)).toBe(name.digest);
    expect(answers).toBeGreaterThan(4);
  });

  it('never takes a cut body for the whole', async () => {
    const name = await publish(randomBytes(2 * MIB));
    await using reader = await store.open(name);
    proxy.faults = ({ method }) => (method === 'GET' ? { cutAnswerAfter: 0 } : undefined);
    await expect(reader.read(0, 2 * MIB)).rejects.toMatchObject({ kind: 'Unavailable' });
  });

  it('is written to while many who read do not read on', async () => {
    const name = await publish(randomBytes(MIB));
    const readers = await Promise.all(Array.from({ length: 130 }, () => store.open(name)));
    for (const reader of readers) {
      await reader.read(0, 1);
      await reader.read(1, 1);
    }
    await publish(randomBytes(1000));
    await Promise.all(readers.map((reader) => reader.close()));
  });

  it('sends a part again whose body was cut', async () => {
    fail(1, { cutRequestAfter: 3 * MIB }, isPart);
    const name = await publish(randomBytes(20 * MIB));
    expect(await digestOfStored(name)).toBe(name.digest);
    expect(proxy.requests.filter(isPart).length).toBe(4);
  });

  it('takes no more than it may hold in memory while the server is silent', async () => {
    fail(1, 'hang', isPart);
    const ingest = randomUUID();
    const writer = await store.openWriter(ingest, 1n, 0, ignore);
    const chunk = randomBytes(MIB);
    const all = (async () => {
      for (let n = 0; n < 40; n++) await writer.write(chunk);
    })();
    await vi.waitFor(() => expect(proxy.requests.filter(isPart)).toHaveLength(3));
    for (let turn = 0; turn < 100; turn++) await nextTurn();
    expect(writer.sizeBytes).toBe(WRITER_BUDGET_BYTES);
    expect(WRITER_BUDGET_BYTES).toBeLessThan(32_000_000);
    await all;
    await writer.close();
    await store.removeIngest(ingest);
  });

  it('knows a blob that was put together although the answer was lost', async () => {
    let attempts = 0;
    proxy.faults = ({ method, url }) => {
      if (method !== 'POST' || !url?.includes('uploadId=')) return undefined;
      // As servers answer that forget an upload once it is completed.
      return attempts++ === 0 ? 'lose-answer' : { answer: 404, code: 'NoSuchUpload' };
    };
    const name = await publish(randomBytes(9 * MIB));
    expect(attempts).toBe(2);
    expect(await digestOfStored(name)).toBe(name.digest);
  });

  it('loses nothing to a removal that the server applies after the digest was stored anew', async () => {
    const bytes = randomBytes(1000);
    const old = await publish(bytes);
    const { promise: stored, resolve: release } = Promise.withResolvers<void>();
    fail(1, { applyAfter: stored }, (line) => line.startsWith('DELETE'));
    await store.removeBlob(old);
    const name = await publish(bytes);
    release();
    await proxy.settled();
    await expect(store.open(old)).rejects.toMatchObject({ kind: 'NotFound' });
    expect(await digestOfStored(name)).toBe(name.digest);
  });

  it('loses nothing to a part that the server stores after its writer was followed by another', async () => {
    const ingest = randomUUID();
    const bytes = randomBytes(10 * MIB);
    const { promise: published, resolve: release } = Promise.withResolvers<void>();
    const stale = await store.openWriter(ingest, 1n, 0, ignore);
    await stale.write(bytes.subarray(0, MIB));
    await stale.flush();
    fail(1, { applyAfter: published }, isPart);
    await stale.write(randomBytes(9 * MIB));
    await vi.waitFor(() => expect(proxy.requests.filter(isPart)).toHaveLength(3));
    const writer = await store.openWriter(ingest, 2n, MIB, ignore);
    proxy.faults = () => undefined;
    await writer.write(bytes.subarray(MIB));
    await writer.flush();
    release();
    await proxy.settled();
    const name = { digest: digestOf(bytes), generation: ingest };
    await writer.publish(name);
    expect(await digestOfStored(name)).toBe(name.digest);
    await stale.close().catch(ignore);
    await store.removeIngest(ingest);
  });

  it('lets another writer publish what one has begun to put together, and leaves nothing behind', async () => {
    const prefix = `${bucket.options().prefix}interrupted/`;
    const own = new S3BlobStore(behindProxy({ prefix, timeoutMs: 60_000 }));
    const ingest = randomUUID();
    const bytes = randomBytes(17 * MIB);
    const name = { digest: digestOf(bytes), generation: ingest };
    const first = await own.openWriter(ingest, 1n, 0, ignore);
    await first.write(bytes);
    await first.flush();
    proxy.faults = ({ method, url }) => (isCopy(`${method} ${url}`) ? 'hang' : undefined);
    void first.publish(name).catch(ignore);
    await vi.waitFor(() => expect(proxy.requests.some(isCopy)).toBe(true));
    // As when its process is killed: nobody completes or aborts the upload.
    proxy.faults = () => undefined;
    const other = new S3BlobStore(bucket.options({ prefix }));
    const second: PartWriter = await other.openWriter(ingest, 2n, bytes.byteLength, ignore);
    expect(second.sizeBytes).toBe(bytes.byteLength);
    await second.publish(name);
    await other.removeIngest(ingest);
    const key = `interrupted/blobs/sha256/${name.digest.slice('sha256:'.length)}/${ingest}`;
    const keys = async () => (await bucket.keys()).filter((found) => found.startsWith('interrupted/'));
    expect(await keys()).toEqual([key, key]);
    await other.discardUnfinished(new Date(Date.now() - 60_000));
    expect(await keys()).toEqual([key, key]);
    await other.discardUnfinished(new Date(Date.now() + 60_000));
    expect(await keys()).toEqual([key]);
    await using reader = await other.open(name);
    expect(digestOf(await reader.read(0, bytes.byteLength))).toBe(name.digest);
    own.close();
    other.close();
  });
});

describe('s3 blob store, with a bucket that is not to be had', () => {
  it.each([
    ['is not there', { bucket: 'longshore-missing' }, 'NoSuchBucket'],
    ['wants another key', { secretKey: 'wrong' }, /AccessDenied|SignatureDoesNotMatch/],
  ] satisfies [string, Partial<S3Options>, string | RegExp][])(
    'takes nothing for missing when it %s',
    async (_, overrides, code) => {
      const away = new S3BlobStore(behindProxy(overrides));
      const name = { digest: digestOf('x'), generation: randomUUID() };
      const error = { kind: 'Unavailable', message: expect.stringMatching(code) };
      await expect(away.check()).rejects.toMatchObject(error);
      await expect(away.open(name)).rejects.toMatchObject(error);
      await expect(away.removeBlob(name)).rejects.toMatchObject(error);
      await expect(away.removeIngest(name.generation)).rejects.toMatchObject(error);
      await expect(Array.fromAsync(away.list())).rejects.toMatchObject(error);
      away.close();
    },
  );
});
