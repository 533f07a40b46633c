import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '@longshore/oci';
import { Term } from '@longshore/postgres';
import { WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { BlobRepository } from './storage/postgres/blob-repository.ts';
import { CollectionRepository } from './storage/postgres/collection-repository.ts';
import { CollectionViews } from './storage/postgres/collection-views.ts';
import { ContentFixture, callOf, type Replica } from './testing/content-fixture.ts';

const { COMMIT, STAT, WRITE } = WriteAction;

let first: ContentFixture;
let second: Replica;

beforeAll(async () => {
  first = await ContentFixture.start({
    LONGSHORE_CONTENT_GRACE_MS: '0',
    LONGSHORE_SHUTDOWN_TIMEOUT_MS: '500',
  });
  second = await first.replica();
});

afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await first.close();
});

async function leader(): Promise<{ term: bigint; holder: string }> {
  const { rows } = await first.pool.query(`SELECT term, holder FROM leaders WHERE name = 'collection'`);
  return rows[0];
}

describe('replicas of the service', () => {
  it('leave the writers of one another alone when they start', async () => {
    await using session = first.write();
    await session.send({ ref: 'busy', total: 6n, action: WRITE, data: Buffer.from('abc') });
    await using _ = await first.replica();
    await using __ = await first.replica({
      LONGSHORE_CONTENT_LISTEN: `unix://${first.directory}/other.sock`,
    });
    const taken = first.write({}, second);
    await expect(taken.send({ ref: 'busy', total: 6n })).rejects.toMatchObject({ kind: 'Unavailable' });
    const done = await session.send({ action: COMMIT, offset: 3n, data: Buffer.from('def') });
    expect(done.offset).toBe(6n);
  });

  it('go on with what another has begun', async () => {
    const session = first.write();
    await session.send({ ref: 'moved', total: 6n, action: WRITE, data: Buffer.from('123') });
    await session.send({ action: STAT });
    await session.end();
    await using resumed = first.write({}, second);
    expect(await resumed.send({ ref: 'moved', total: 6n })).toMatchObject({ offset: 3n });
    await resumed.send({ action: COMMIT, offset: 3n, data: Buffer.from('456') });
    expect(await first.read(digestOf('123456'))).toBe('123456');
  });

  it('take over a writer whose replica says nothing any more', async () => {
    const session = first.write();
    await session.send({ ref: 'silent', total: 6n, action: WRITE, data: Buffer.from('789') });
    await session.send({ action: STAT });
    // As a replica that was killed, or cut off, ten seconds ago.
    await first.pool.query(
      `UPDATE ingests SET writer_until = clock_timestamp() - interval '1 ms', epoch = epoch + 1 WHERE ref = 'silent'`,
    );
    await using resumed = first.write({}, second);
    expect(await resumed.send({ ref: 'silent', total: 6n })).toMatchObject({ offset: 3n });
    await expect(
      session.send({ action: COMMIT, offset: 3n, data: Buffer.from('xyz') }),
    ).rejects.toMatchObject({ kind: 'Unavailable' });
    await resumed.send({ action: COMMIT, offset: 3n, data: Buffer.from('abc') });
    expect(await first.read(digestOf('789abc'))).toBe('789abc');
  });

  it('commit the same blob at once, and keep one generation of its bytes', async () => {
    const text = 'the same bytes on two replicas';
    const digest = digestOf(text);
    const commit = async (replica: Pick<Replica, 'content'>, namespace: string) => {
      const session = first.write({ namespace }, replica as Replica);
      await session.send({ ref: 'same', action: WRITE, data: Buffer.from(text) });
      await session.send({ action: COMMIT, offset: BigInt(text.length), expected: digest });
      await session.end();
    };
    await Promise.all(
      Array.from({ length: 8 }, (_, index) => commit(index % 2 ? first : second, `ns${index}`)),
    );
    const hex = digest.slice('sha256:'.length);
    const directory = join(first.directory, 'content/blobs/sha256', hex.slice(0, 2), hex);
    const [generation, ...others] = await readdir(directory);
    expect(others).toEqual([]);
    expect(await readFile(join(directory, generation ?? ''), 'utf8')).toBe(text);
    for (let index = 0; index < 8; index++) {
      expect(await first.read(digest, { namespace: `ns${index}` })).toBe(text);
    }
  });

  it('collect when asked, whoever leads', async () => {
    for (const replica of [first, second]) {
      const digest = await first.put('garbage', {}, { lease: '' });
      await replica.collector.collect({ wait: true }, callOf());
      await expect(first.content.info({ digest }, callOf())).rejects.toMatchObject({ kind: 'NotFound' });
    }
  });

  it('refuse every led write of a term that is over', async () => {
    const [blobs, old] = [new BlobRepository(first.pool), new Term('collection', 0n)];
    const refused = { kind: 'Unavailable' };
    await expect(blobs.releaseUnheld(100, old)).rejects.toMatchObject(refused);
    await expect(blobs.forget([], old)).rejects.toMatchObject(refused);
    await expect(blobs.buryUnknown([], old)).rejects.toMatchObject(refused);
    const collection = new CollectionRepository(first.pool, new CollectionViews(['content']));
    const scope = { namespace: 'default', node: '_' };
    const mark = await collection.mark(scope);
    await expect(collection.sweep(scope, mark.snapshot, () => [], old)).rejects.toMatchObject(refused);
  });

  it('remove bytes by the one that leads, and by another when it has gone', async () => {
    const before = await leader();
    // The first one has led since it started.
    await first.restart();
    await vi.waitFor(async () => expect((await leader()).term).toBe(before.term + 1n), 5000);
    const holder = await leader();
    expect(holder.holder).not.toBe(before.holder);
    const digest = await first.put('left to the leader');
    await second.content.delete({ digest }, callOf());
    await vi.waitFor(async () => {
      const { rowCount } = await first.pool.query('SELECT FROM blobs WHERE digest = $1', [digest]);
      expect(rowCount).toBe(0);
    }, 5000);
  });
});
