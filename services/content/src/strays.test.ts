import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cp, mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createLogger } from '@longshore/kit';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { BlobStore, StoredBytes } from './domain/blob-store.ts';
import { type BuriedBytes, type ByteRecords, ByteRemover } from './domain/byte-remover.ts';
import { DirectoryBlobStore } from './storage/directory/directory-blob-store.ts';
import { BlobRepository } from './storage/postgres/blob-repository.ts';
import { ContentFixture } from './testing/content-fixture.ts';

const BLOBS = 30;
/** By then bytes belong to nothing that is under way. */
const LATER_MS = 2 * 60 * 60 * 1000;

let content: ContentFixture;
beforeEach(async () => {
  content = await ContentFixture.start();
  for (let n = 0; n < BLOBS; n++) await content.put(`blob ${n}`);
});
afterEach(() => content.close());

const root = () => join(content.directory, 'content');

async function files(): Promise<string[]> {
  const entries = await readdir(join(root(), 'blobs'), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** What a leader does once after its start, some hours from now. */
async function buryStrays(log = createLogger('content', 'silent')) {
  const remover = new ByteRemover(new BlobRepository(content.pool), new DirectoryBlobStore(root()), 0, log);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + LATER_MS });
  await remover.buryStrays({ signal: new AbortController().signal, check: async () => undefined });
  vi.useRealTimers();
}

async function buried(): Promise<string[]> {
  const { rows } = await content.pool.query<{ generation: string }>('SELECT generation FROM tombstones');
  return rows.map(({ generation }) => generation);
}

it('buries bytes that have no record, and nothing else', async () => {
  const [first = ''] = await files();
  const strays = [randomUUID(), randomUUID()];
  for (const stray of strays) await cp(first, join(dirname(first), stray));
  // As NFS calls a file that is removed while it is open.
  await cp(first, join(dirname(first), '.nfs0000000000a1b2c300000001'));
  await buryStrays();
  expect((await buried()).sort()).toEqual(strays.sort());
});

it('buries nothing when most bytes have no record, and says so', async () => {
  await content.pool.query('TRUNCATE contents, blobs, ingests, lease_resources, tombstones CASCADE');
  const log = createLogger('content', 'silent');
  const error = vi.spyOn(log, 'error');
  await buryStrays(log);
  expect(error).toHaveBeenCalledWith({ looked: BLOBS, unknown: BLOBS }, expect.stringContaining('no record'));
  expect(await buried()).toEqual([]);
  expect(await files()).toHaveLength(BLOBS);
});

it('buries nothing of a store that is larger than what is buried at once, either', async () => {
  const buried: unknown[] = [];
  const store = {
    discardUnfinished: async () => undefined,
    async *list() {
      for (let n = 0; n < 250_000; n++) yield { digest: undefined, generation: uuid, changedAt: new Date(0) };
    },
  };
  const uuid = randomUUID();
  const records = {
    unknown: async (bytes: readonly StoredBytes[]) => [...bytes],
    buryUnknown: async (bytes: readonly StoredBytes[]) => void buried.push(...bytes),
  };
  const log = createLogger('content', 'silent');
  const remover = new ByteRemover(
    records as unknown as ByteRecords<BuriedBytes>,
    store as unknown as BlobStore,
    0,
    log,
  );
  await remover.buryStrays({ signal: new AbortController().signal, check: async () => undefined });
  expect(buried).toEqual([]);
});

it('removes what it can, though the store refuses to remove some', async () => {
  await using stuck = await unremovable(4);
  const gone = randomUUID();
  const buried = [...stuck.ingests, gone];
  await content.pool.query('INSERT INTO tombstones (generation) SELECT unnest($1::uuid[])', [buried]);
  const log = createLogger('content', 'silent');
  const remover = new ByteRemover(new BlobRepository(content.pool), new DirectoryBlobStore(root()), 0, log);
  const term = new AbortController();
  const running = remover.run({ signal: term.signal, check: async () => undefined });
  const left = async () => {
    const { rows } = await content.pool.query<{ generation: string }>(
      'SELECT generation FROM tombstones WHERE generation = ANY ($1)',
      [buried],
    );
    return rows.map(({ generation }) => generation).sort();
  };
  await vi.waitFor(async () => expect(await left()).toEqual([...stuck.ingests].sort()), 10_000);
  term.abort();
  await running;
});

/** Ingests whose directories are mount points. */
async function unremovable(count: number) {
  const ingests = Array.from({ length: count }, () => randomUUID());
  const paths = ingests.map((ingest) => join(root(), 'ingests', ingest));
  for (const path of paths) {
    await mkdir(path);
    execFileSync('mount', ['-t', 'tmpfs', 'longshore-test', path]);
  }
  return {
    ingests,
    async [Symbol.asyncDispose]() {
      for (const path of paths) execFileSync('umount', [path]);
    },
  };
}
