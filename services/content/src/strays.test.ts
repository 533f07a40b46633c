import { randomUUID } from 'node:crypto';
import { cp, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createLogger } from '@longshore/kit';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ByteRemover } from './domain/byte-remover.ts';
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
