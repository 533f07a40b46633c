import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isKind } from '@longshore/errors';
import { digestOf } from '@longshore/oci';
import { WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ContentFixture, callOf, type Replica } from './testing/content-fixture.ts';

const { COMMIT, STAT, WRITE } = WriteAction;

/** Of two replicas, which remove bytes as soon as nobody needs them. */
let first: ContentFixture;
let second: Replica;

beforeAll(async () => {
  first = await ContentFixture.start({ LONGSHORE_CONTENT_GRACE_MS: '0' });
  second = await first.replica();
});

afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await first.close();
});

async function commit(text: string, { namespace = 'default', lease = '' }, replica?: Replica): Promise<void> {
  const session = first.write({ namespace, lease }, replica);
  try {
    const [ref, total, expected] = [randomUUID(), BigInt(text.length), digestOf(text)];
    const { offset } = await session.send({ ref, total, expected });
    const data = Buffer.from(text).subarray(Number(offset));
    await session.send({ action: COMMIT, offset, data, total, expected });
  } finally {
    await session.end().catch(() => undefined);
  }
}

/** Only errors of these kinds are part of a race; they are left out. */
async function unless(work: Promise<unknown>, ...kinds: Parameters<typeof isKind>[1][]): Promise<void> {
  await work.catch((error) => {
    if (!isKind(error, ...kinds)) throw error;
  });
}

describe('what happens at the same time', () => {
  it('deletes and commits of one digest: who holds it can read it', async () => {
    const text = 'deleted and committed';
    const digest = digestOf(text);
    let held = 0;
    for (let round = 0; round < 30; round++) {
      const namespaces = ['a', 'b'];
      await Promise.all(
        namespaces.flatMap((namespace) => [
          unless(commit(text, { namespace }, round % 2 ? second : undefined), 'AlreadyExists', 'Unavailable'),
          unless(second.content.delete({ digest }, callOf({ namespace })), 'NotFound'),
          unless(first.collector.collect({ wait: true }, callOf({ namespace })), 'Unavailable'),
        ]),
      );
      for (const namespace of namespaces) {
        const isHeld = await first.content.info({ digest }, callOf({ namespace })).then(
          () => true,
          () => false,
        );
        // A collection that is under way may take it before it is read, as nothing keeps it.
        if (isHeld)
          await unless(
            first.read(digest, { namespace }).then((read) => expect(read).toBe(text)),
            'NotFound',
          );
        if (isHeld) held += 1;
      }
    }
    expect(held).toBeGreaterThan(0);
    for (const namespace of ['a', 'b']) {
      await unless(first.content.delete({ digest }, callOf({ namespace })), 'NotFound');
    }
    // In the end nothing is left, neither rows nor bytes.
    await vi.waitFor(async () => {
      const { rowCount } = await first.pool.query('SELECT FROM blobs WHERE digest = $1', [digest]);
      const bytes = await readdir(join(first.directory, 'content/blobs/sha256', digest.slice(7, 9))).catch(
        () => [],
      );
      expect([rowCount, bytes]).toEqual([0, []]);
    }, 20_000);
  });

  it('commits and collections: what a lease keeps stays, what nothing keeps goes', async () => {
    const caller = { namespace: 'raced', lease: 'kept' };
    await first.leases.create({ id: 'kept' }, callOf({ namespace: 'raced' }));
    let isOver = false;
    let collections = 0;
    const collect = async (replica: Pick<Replica, 'collector'>) => {
      while (!isOver) {
        await replica.collector.collect({ wait: true }, callOf({ namespace: 'raced' }));
        collections += 1;
      }
    };
    const collecting = Promise.all([collect(first), collect(second)]);
    const texts = Array.from({ length: 40 }, (_, n) => `leased ${n}`);
    const committing = async (which: number) => {
      for (const text of texts.filter((_, n) => n % 4 === which)) {
        await commit(text, caller, which % 2 ? second : undefined);
        // Garbage as soon as it is there.
        await commit(`unleased ${text}`, { namespace: 'raced' });
      }
    };
    await Promise.all([0, 1, 2, 3].map(committing));
    isOver = true;
    await collecting;
    expect(collections).toBeGreaterThan(2);
    for (const text of texts) expect(await first.read(digestOf(text), caller)).toBe(text);
    await first.collector.collect({ wait: true }, callOf({ namespace: 'raced' }));
    const listed = await Array.fromAsync(first.content.list({}, callOf({ namespace: 'raced' })));
    const digests = listed.flatMap(({ info }) => info.map(({ digest }) => digest));
    expect(new Set(digests)).toEqual(new Set(texts.map((text) => digestOf(text))));
  });

  it('a lease that expires in mid-ingest: the ingest goes with it, and its writer is told', async () => {
    const caller = { namespace: 'expiring', lease: 'short' };
    const expiresAt = new Date(Date.now() + 60 * 60 * 1000).toISOString();
    const labels = { 'containerd.io/gc.expire': expiresAt };
    await first.leases.create({ id: 'short', labels }, callOf({ namespace: 'expiring' }));
    const session = first.write(caller);
    await session.send({ ref: 'leased', total: 6n, action: WRITE, data: Buffer.from('abc') });
    await session.send({ action: STAT });
    await first.collector.collect({ wait: true }, callOf(caller));
    expect((await first.content.status({ ref: 'leased' }, callOf(caller))).status?.offset).toBe(3n);
    // As an hour later.
    await first.pool.query(`UPDATE leases SET expires_at = clock_timestamp() WHERE id = 'short'`);
    await first.collector.collect({ wait: true }, callOf({ namespace: 'expiring' }));
    await expect(
      session.send({ action: COMMIT, offset: 3n, data: Buffer.from('def') }),
    ).rejects.toMatchObject({
      kind: expect.stringMatching(/^(Unavailable|NotFound)$/),
    });
    await expect(first.write(caller).send({ ref: 'leased' })).rejects.toMatchObject({
      kind: 'NotFound',
      message: 'lease does not exist: not found',
    });
    await using fresh = first.write({ namespace: 'expiring' });
    expect(await fresh.send({ ref: 'leased', total: 6n })).toMatchObject({ offset: 0n });
    const hex = digestOf('abcdef').slice('sha256:'.length);
    await expect(
      readdir(join(first.directory, 'content/blobs/sha256', hex.slice(0, 2), hex)),
    ).rejects.toThrow();
  });

  it('a lease that is gone when its ingest is committed: neither bytes nor ref stay', async () => {
    const caller = { namespace: 'unleased', lease: 'lost' };
    await first.leases.create({ id: 'lost' }, callOf({ namespace: 'unleased' }));
    const session = first.write(caller);
    await session.send({ ref: 'lost', total: 6n, action: WRITE, data: Buffer.from('unleas') });
    await first.pool.query(`DELETE FROM leases WHERE id = 'lost'`);
    await expect(session.send({ action: COMMIT, offset: 6n })).rejects.toMatchObject({ kind: 'NotFound' });
    await session.end().catch(() => undefined);
    const hex = digestOf('unleas').slice('sha256:'.length);
    const directory = join(first.directory, 'content/blobs/sha256', hex.slice(0, 2), hex);
    await vi.waitFor(() => expect(readdir(directory)).rejects.toThrow(), 20_000);
    await expect(
      first.content.status({ ref: 'lost' }, callOf({ namespace: 'unleased' })),
    ).rejects.toMatchObject({
      kind: 'NotFound',
    });
  });

  it('a database that drops every connection: the writer goes on, or begins anew where it was', async () => {
    await using session = first.write();
    await session.send({ ref: 'cut', total: 9n, action: WRITE, data: Buffer.from('abc') });
    await session.send({ action: STAT });
    await first.pool.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    );
    const rest = { action: COMMIT, offset: 3n, data: Buffer.from('defghi') };
    const done = await session.send(rest).catch((error) => error);
    if (done instanceof Error) {
      expect(done).toMatchObject({ kind: 'Unavailable' });
      await using again = first.write();
      expect(await again.send({ ref: 'cut', total: 9n })).toMatchObject({ offset: expect.any(BigInt) });
    } else expect(await first.read(digestOf('abcdefghi'))).toBe('abcdefghi');
  });
});
