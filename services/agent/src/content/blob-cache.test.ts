import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestOf } from '@longshore/oci';
import { describe, expect, it } from 'vitest';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import { BlobCache } from './blob-cache.ts';

const SIZE = 1000;
const never = new AbortController().signal;

function makeBlobs(count: number): { bytes: Buffer; digest: Digest }[] {
  return Array.from({ length: count }, () => {
    const bytes = randomBytes(SIZE);
    return { bytes, digest: digestOf(bytes) };
  });
}

/** Room for three blobs. */
async function start() {
  const directory = join(await scratchDirectory(), 'cache');
  const cache = await BlobCache.open(directory, 3 * SIZE);
  const fetched: Digest[] = [];
  const get = (blob: { bytes: Buffer; digest: Digest }, signal = never) =>
    cache.get(blob.digest, blob.bytes.length, () => send(blob), signal);
  async function* send({ bytes, digest }: { bytes: Buffer; digest: Digest }) {
    fetched.push(digest);
    yield bytes.subarray(0, 300);
    yield bytes.subarray(300);
  }
  const files = async () =>
    (await readdir(directory, { recursive: true })).filter((name) => name.length > 64);
  return { cache, directory, fetched, get, files };
}

describe('BlobCache', () => {
  it('keeps what it has fetched, over a restart too', async () => {
    const { cache, directory, fetched, get } = await start();
    const [blob] = makeBlobs(1);
    const first = await get(blob!);
    expect(await readFile(first!.path)).toEqual(blob!.bytes);
    await get(blob!);
    expect(fetched.length).toBe(1);
    const later = await BlobCache.open(directory, 3 * SIZE);
    expect(later.find(blob!.digest)?.path).toBe(first!.path);
    expect(later.sizeBytes).toBe(cache.sizeBytes);
  });

  it('fetches once for several who want it at the same time', async () => {
    const { fetched, get } = await start();
    const [blob] = makeBlobs(1);
    const handles = await Promise.all([get(blob!), get(blob!), get(blob!)]);
    expect(new Set(handles.map((handle) => handle?.path)).size).toBe(1);
    expect(fetched.length).toBe(1);
  });

  it('drops what was not used for longest, and nothing that is in use', async () => {
    const { cache, get, files } = await start();
    const [a, b, c, d, e] = makeBlobs(5);
    for (const blob of [a, b, c]) (await get(blob!))?.close();
    cache.find(a!.digest)?.close();
    const inUse = await get(d!);
    expect(cache.find(b!.digest)).toBeUndefined();
    expect(cache.find(a!.digest)).toBeDefined();
    const alsoInUse = await get(c!);
    expect(await get(e!)).toBeUndefined();
    expect((await files()).length).toBe(3);
    alsoInUse?.close();
    inUse?.close();
    expect(await get(e!)).toBeDefined();
    expect(cache.sizeBytes).toBe(3 * SIZE);
  });

  it('does not begin to fetch what is larger than all of it', async () => {
    const { cache, fetched } = await start();
    const bytes = randomBytes(4 * SIZE);
    const fetch = async function* () {
      fetched.push(digestOf(bytes));
      yield bytes;
    };
    expect(await cache.get(digestOf(bytes), bytes.length, fetch, never)).toBeUndefined();
    expect(fetched).toEqual([]);
  });

  it.each([
    ['wrong', (bytes: Buffer) => Buffer.from(bytes).reverse()],
    ['cut', (bytes: Buffer) => bytes.subarray(1)],
  ])('keeps nothing of bytes that are %s', async (_, spoil) => {
    const { cache, directory } = await start();
    const [blob] = makeBlobs(1);
    const fetch = async function* () {
      yield spoil(blob!.bytes);
    };
    await expect(cache.get(blob!.digest, SIZE, fetch, never)).rejects.toMatchObject({ kind: 'DataLoss' });
    expect(cache.sizeBytes).toBe(0);
    expect(await readdir(join(directory, 'incoming'))).toEqual([]);
  });

  it('ends a fetch when the last who waits for it leaves', async () => {
    const { cache } = await start();
    const [blob] = makeBlobs(1);
    const ended = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const fetch = async function* (signal: AbortSignal) {
      yield blob!.bytes.subarray(0, 1);
      begun.resolve();
      await new Promise<never>((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason)),
      ).finally(() => ended.resolve());
    };
    const [one, two] = [new AbortController(), new AbortController()];
    const waiting = [one, two].map(({ signal }) => cache.get(blob!.digest, SIZE, fetch, signal));
    const settled = Promise.allSettled(waiting);
    await begun.promise;
    one.abort();
    await expect(waiting[0]).rejects.toMatchObject({ name: 'AbortError' });
    two.abort();
    await ended.promise;
    await settled;
  });
});

describe('BlobCache.keep', () => {
  it('passes everything on, and has it afterwards', async () => {
    const { cache } = await start();
    const [blob] = makeBlobs(1);
    const chunks = [];
    for await (const chunk of cache.keep(blob!.digest, SIZE, one(blob!.bytes))) chunks.push(chunk);
    expect(Buffer.concat(chunks)).toEqual(blob!.bytes);
    expect(await readFile(cache.find(blob!.digest)!.path)).toEqual(blob!.bytes);
  });

  it('counts its bytes once when another fetches them at the same time', async () => {
    const { cache } = await start();
    const [blob] = makeBlobs(1);
    const kept = cache.keep(blob!.digest, SIZE, one(blob!.bytes));
    await kept.next();
    const isKept = Promise.withResolvers<void>();
    const fetched = cache.get(
      blob!.digest,
      SIZE,
      async function* () {
        await isKept.promise;
        yield blob!.bytes;
      },
      never,
    );
    await Array.fromAsync(kept);
    isKept.resolve();
    expect(await readFile((await fetched)!.path)).toEqual(blob!.bytes);
    expect(cache.sizeBytes).toBe(SIZE);
  });

  it('keeps nothing of what the reader left', async () => {
    const { cache, directory } = await start();
    const [blob] = makeBlobs(1);
    for await (const _ of cache.keep(blob!.digest, SIZE, one(blob!.bytes))) break;
    expect(cache.find(blob!.digest)).toBeUndefined();
    expect(cache.sizeBytes).toBe(0);
    expect(await readdir(join(directory, 'incoming'))).toEqual([]);
  });
});

async function* one(bytes: Buffer) {
  yield bytes.subarray(0, 10);
  yield bytes.subarray(10);
}
