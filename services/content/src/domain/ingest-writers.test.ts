import { unavailable } from '@longshore/errors';
import { createLogger } from '@longshore/kit';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { BlobStore, PartWriter } from './blob-store.ts';
import type { Ingest } from './ingest.ts';
import type { Progress } from './ingest-writer.ts';
import { IngestWriters, WRITER_TIMEOUT_MS } from './ingest-writers.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const SCOPE = { namespace: 'default', node: '_' };

function ingest(ref: string, durableBytes: number): Ingest {
  const now = new Date();
  const times = { startedAt: now, updatedAt: now };
  return {
    uid: `uid-${ref}`,
    scope: SCOPE,
    ref,
    totalBytes: 0,
    durableBytes,
    linked: undefined,
    epoch: 2n,
    ...times,
  };
}

/** Writers over a store of which every call can be held up. */
function start(openWriter: (ref: string) => Promise<PartWriter>, database = { isAway: false }) {
  const checkpoints: Progress[] = [];
  const released: string[] = [];
  const records = {
    open: async (_: unknown, { ref }: { ref: string }) => ingest(ref, 7),
    checkpoint: async (progress: readonly Progress[]) => {
      checkpoints.push(...progress);
      return new Set(progress.map(({ uid }) => uid));
    },
    release: async ({ uid }: Ingest) => {
      if (database.isAway) throw unavailable('database');
      released.push(uid);
    },
    reset: async () => undefined,
  };
  const store = { openWriter: (uid: string) => openWriter(uid.slice('uid-'.length)) } as unknown as BlobStore;
  const commit = async () => ({ created: undefined, generation: '' });
  const writers = new IngestWriters(store, records, commit, createLogger('content', 'silent'));
  const open = (ref: string) =>
    writers.open(
      SCOPE,
      { ref, totalBytes: 0, expected: undefined, lease: undefined },
      new AbortController().signal,
    );
  return { open, checkpoints, released, uids: () => new Set(checkpoints.map(({ uid }) => uid)) };
}

function part(flush: () => Promise<number>, publish = async () => undefined): PartWriter {
  return { sizeBytes: 7, flush, publish, close: async () => undefined } as unknown as PartWriter;
}

describe('IngestWriters', () => {
  it('keeps the lock of a writer that takes long to open', async () => {
    const { promise, resolve } = Promise.withResolvers<PartWriter>();
    const { open, checkpoints } = start(() => promise);
    const opened = open('long');
    await vi.advanceTimersByTimeAsync(WRITER_TIMEOUT_MS);
    expect(checkpoints.length).toBeGreaterThanOrEqual(3);
    expect(checkpoints[0]).toEqual({ uid: 'uid-long', epoch: 2n, durableBytes: 7 });
    resolve(part(async () => 7));
    expect((await opened)?.offsetBytes).toBe(7);
  });

  it('keeps the locks of all while the store does not answer for one', async () => {
    const { open, checkpoints, uids } = start(async (ref) =>
      part(ref === 'stuck' ? () => new Promise(() => undefined) : async () => 7),
    );
    await open('stuck');
    await open('other');
    await vi.advanceTimersByTimeAsync(WRITER_TIMEOUT_MS);
    expect(uids()).toEqual(new Set(['uid-stuck', 'uid-other']));
    expect(checkpoints.length).toBeGreaterThanOrEqual(4);
  });

  it('keeps the lock of a writer whose commit takes long', async () => {
    const published = Promise.withResolvers<undefined>();
    const { open, checkpoints } = start(async () =>
      part(
        async () => 7,
        () => published.promise,
      ),
    );
    const writer = await open('large');
    const request = { totalBytes: 0, expected: undefined, labels: {}, lease: undefined };
    const committed = writer?.commit(request).catch(() => undefined);
    await vi.advanceTimersByTimeAsync(WRITER_TIMEOUT_MS);
    expect(checkpoints.length).toBeGreaterThanOrEqual(3);
    published.resolve(undefined);
    await committed;
    const before = checkpoints.length;
    await vi.advanceTimersByTimeAsync(WRITER_TIMEOUT_MS);
    expect(checkpoints.length).toBe(before);
  });

  it('gives a lock back as soon as the database is there again, and tries no longer than it lasts', async () => {
    const database = { isAway: false };
    const { open, released } = start(async () => part(async () => 7), database);
    const [first, second] = [await open('first'), await open('second')];
    database.isAway = true;
    await expect(first?.close()).rejects.toThrow();
    await vi.advanceTimersByTimeAsync(3_000);
    database.isAway = false;
    await vi.advanceTimersByTimeAsync(1_500);
    expect(released).toEqual(['uid-first']);
    database.isAway = true;
    await expect(second?.close()).rejects.toThrow();
    await vi.advanceTimersByTimeAsync(2 * WRITER_TIMEOUT_MS);
    database.isAway = false;
    await vi.advanceTimersByTimeAsync(WRITER_TIMEOUT_MS);
    expect(released).toEqual(['uid-first']);
  });
});
