import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LongshoreError, unavailable } from '@longshore/errors';
import { digestOf } from '@longshore/oci';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BlobName } from './domain/blob-store.ts';
import type { Content } from './domain/content.ts';
import type { Ingest } from './domain/ingest.ts';
import { type Committer, IngestWriter } from './domain/ingest-writer.ts';
import { DirectoryBlobStore } from './storage/directory/directory-blob-store.ts';

const UID = '0b0e7ed1-0000-4000-8000-000000000000';
const REQUEST = { totalBytes: 0, expected: undefined, labels: {}, lease: undefined };

let root: string;
let store: LateStore;
let released: string[];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'longshore-writer-'));
  store = new LateStore(root);
  released = [];
});
afterEach(() => rm(root, { recursive: true }));

/** Applies removals of blobs when it is told to, as object stores may. */
class LateStore extends DirectoryBlobStore {
  readonly #late: (() => Promise<void>)[] = [];
  isAway = false;

  override async removeBlob(name: BlobName): Promise<void> {
    this.#late.push(() => super.removeBlob(name));
  }

  override async removeIngest(ingest: string): Promise<void> {
    if (this.isAway) throw unavailable('store');
    await super.removeIngest(ingest);
  }

  async applyLate(): Promise<void> {
    for (const removal of this.#late) await removal();
  }
}

/** A writer that has received `here`. */
async function writerOf(epoch: bigint, durableBytes: number, commit: Committer): Promise<IngestWriter> {
  const now = new Date();
  const ingest: Ingest = {
    uid: UID,
    scope: { namespace: 'default', node: '_' },
    ref: 'ref',
    totalBytes: 0,
    durableBytes,
    linked: undefined,
    epoch,
    startedAt: now,
    updatedAt: now,
  };
  const records = {
    reset: async () => undefined,
    checkpoint: async () => new Set([UID]),
    release: async ({ uid }: Ingest) => void released.push(uid),
  };
  const writer = await IngestWriter.open(ingest, 'sha256', store, records, commit);
  if (durableBytes === 0) await writer.write(0, Buffer.from('here'));
  return writer;
}

const stored: Committer = async (_, { generation }) => ({ created: {} as Content, generation });

describe('a commit', () => {
  it('that is refused takes nothing from the one that follows it, however late the store removes bytes', async () => {
    const first = await writerOf(1n, 0, async () => {
      throw new LongshoreError('ResourceExhausted', 'quota');
    });
    await expect(first.commit(REQUEST)).rejects.toThrow('quota');
    await (await writerOf(2n, 4, stored)).commit(REQUEST);
    await store.applyLate();
    await using reader = await store.open({ digest: digestOf('here'), generation: UID });
    expect(Buffer.from(await reader.read(0, 4)).toString()).toBe('here');
  });

  it('is one although the store does not remove what is left of the ingest, which is buried', async () => {
    const writer = await writerOf(1n, 0, stored);
    store.isAway = true;
    expect(await writer.commit(REQUEST)).toBeDefined();
    expect(released).toEqual([UID]);
  });
});
