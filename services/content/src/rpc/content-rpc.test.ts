import { randomBytes } from 'node:crypto';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { listPartHeaders } from '@longshore/kit';
import { digestOf } from '@longshore/oci';
import { WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { contentEvents } from '../events.ts';
import { IngestRepository } from '../storage/postgres/ingest-repository.ts';
import { ContentFixture, callOf } from '../testing/content-fixture.ts';

const MISSING = digestOf('nobody has this');
const LONG_AGO = timestampFromMs(0);

let fixture: ContentFixture;

beforeAll(async () => {
  fixture = await ContentFixture.start();
});

afterAll(() => fixture.close());

describe('Content', () => {
  it('keeps namespaces and nodes apart', async () => {
    const digest = await fixture.put('mine', {}, { node: 'n1' });
    await fixture.content.info({ digest }, callOf({ node: 'n1' }));
    for (const caller of [{ node: 'n2' }, {}, { namespace: 'other', node: 'n1' }]) {
      await expect(fixture.content.info({ digest }, callOf(caller))).rejects.toMatchObject({
        kind: 'NotFound',
        message: `content digest ${digest}: not found`,
      });
      await expect(fixture.read(digest, caller)).rejects.toMatchObject({ kind: 'NotFound' });
    }
  });

  it('refuses what is no digest', async () => {
    for (const digest of ['', 'sha256:abc', 'md5:d41d8cd98f00b204e9800998ecf8427e']) {
      await expect(fixture.content.info({ digest }, callOf())).rejects.toMatchObject({
        kind: 'InvalidArgument',
      });
    }
  });

  it('updates labels by mask, and replaces them all without one', async () => {
    const digest = await fixture.put('labelled', { a: '1', b: '2' });
    const update = async (labels: Record<string, string>, paths: string[]) => {
      const { info } = await fixture.content.update(
        { info: { digest, labels, createdAt: LONG_AGO, updatedAt: LONG_AGO }, updateMask: { paths } },
        callOf(),
      );
      return info?.labels;
    };
    expect(await update({ a: 'x', c: 'ignored', 'd.e': '4' }, ['labels.a', 'labels.d.e'])).toEqual({
      a: 'x',
      b: '2',
      'd.e': '4',
    });
    expect(await update({ b: '' }, ['labels.b'])).toEqual({ a: 'x', 'd.e': '4' });
    expect(await update({ z: '26' }, ['labels'])).toEqual({ z: '26' });
    expect(await update({ y: '25', empty: '' }, [])).toEqual({ y: '25' });
    await expect(update({}, ['size'])).rejects.toMatchObject({ kind: 'InvalidArgument' });
    await expect(update({ a: 'x'.repeat(4096) }, [])).rejects.toMatchObject({ kind: 'InvalidArgument' });
    // One that is not asked for does not count.
    expect(await update({ y: '26', c: 'x'.repeat(4096) }, ['labels.y'])).toEqual({ y: '26' });
    await expect(update({ y: 'x'.repeat(4096) }, ['labels.y'])).rejects.toMatchObject({
      kind: 'InvalidArgument',
    });
    const { info } = await fixture.content.info({ digest }, callOf());
    expect(info?.labels).toEqual({ y: '26' });
    const [createdMs, updatedMs] = [info?.createdAt, info?.updatedAt].map((at) => timestampMs(at!));
    expect(createdMs).toBeGreaterThan(Date.now() - 60_000);
    expect(updatedMs).toBeGreaterThan(createdMs!);
  });

  it('answers NotFound for updates and deletes of what the scope does not hold', async () => {
    await expect(fixture.content.update({ info: { digest: MISSING } }, callOf())).rejects.toMatchObject({
      kind: 'NotFound',
    });
    await expect(fixture.content.delete({ digest: MISSING }, callOf())).rejects.toMatchObject({
      kind: 'NotFound',
    });
  });

  it('lists in the order of digests, in blocks of at most 100', async () => {
    const caller = { namespace: 'many' };
    const { rows } = await fixture.pool.query<{ digest: string }>(
      `WITH made AS (SELECT n, 'sha256:' || encode(sha256(n::text::bytea), 'hex') AS digest FROM generate_series(1, 105) AS n),
       stored AS (INSERT INTO blobs (digest, generation, size) SELECT digest, gen_random_uuid(), n FROM made RETURNING *)
       INSERT INTO contents (namespace, node, digest, generation, revision, labels)
       SELECT 'many', '_', digest, generation, n, jsonb_build_object('n', n::text) FROM made JOIN stored USING (digest)
       RETURNING digest`,
    );
    const digests = rows.map(({ digest }) => digest);
    const blocks = await Array.fromAsync(fixture.content.list({}, callOf(caller)));
    expect(blocks.map(({ info }) => info.length)).toEqual([100, 5]);
    expect(blocks.flatMap(({ info }) => info.map(({ digest }) => digest))).toEqual(digests.sort());
    const filtered = await Array.fromAsync(
      fixture.content.list({ filters: ['labels.n==7', `digest==${digests[0]}`] }, callOf(caller)),
    );
    expect(filtered[0]?.info).toHaveLength(2);
    const { headers } = callOf(caller);
    const part = listPartHeaders({ from: digests[50]!, limit: 3 });
    const some = await Array.fromAsync(fixture.content.list({}, { headers: { ...headers, ...part } }));
    expect(some.map(({ info }) => info.map(({ digest }) => digest))).toEqual([digests.slice(50, 53)]);
    await expect(
      Array.fromAsync(fixture.content.list({ filters: ['='] }, callOf(caller))),
    ).rejects.toMatchObject({
      kind: 'InvalidArgument',
    });
  });

  it('deletes the record, tells of it, and removes the bytes after the grace time', async () => {
    await using quick = await QuickFixture.start();
    const { fixture: own } = quick;
    const digest = await own.put('short-lived');
    const { place } = await own.blobs.locate({ digest }, callOf());
    const path = place?.file ?? '';
    expect(await readFile(path, 'utf8')).toBe('short-lived');
    await own.content.delete({ digest }, callOf());
    await expect(own.content.info({ digest }, callOf())).rejects.toMatchObject({ kind: 'NotFound' });
    await vi.waitFor(async () => expect(await readFile(path).catch(() => 'gone')).toBe('gone'), 5000);
    const { rows } = await own.pool.query('SELECT topic FROM outbox WHERE subject = $1 ORDER BY seq', [
      digest,
    ]);
    expect(rows.map(({ topic }) => topic)).toEqual(['/content/create', '/content/delete']);
    await vi.waitFor(async () => {
      const left = await own.pool.query('SELECT FROM blobs UNION ALL SELECT FROM tombstones');
      expect(left.rowCount).toBe(0);
    }, 5000);
    await own.put('short-lived');
    expect(await own.read(digest)).toBe('short-lived');
  });

  it('keeps the bytes of a deleted blob through the grace time', async () => {
    const digest = await fixture.put('in grace');
    const { place, size } = await fixture.blobs.locate({ digest }, callOf());
    expect(size).toBe(8n);
    await fixture.content.delete({ digest }, callOf());
    await vi.waitFor(async () => {
      const buried = await fixture.pool.query('SELECT FROM tombstones WHERE digest = $1', [digest]);
      expect(buried.rowCount).toBe(1);
    }, 5000);
    expect(await readFile(place?.file ?? '', 'utf8')).toBe('in grace');
    await fixture.put('in grace');
    const again = await fixture.blobs.locate({ digest }, callOf());
    expect(again.place?.file).not.toBe(place?.file);
  });

  it('does not locate what the scope does not hold', async () => {
    await expect(fixture.blobs.locate({ digest: MISSING }, callOf())).rejects.toMatchObject({
      kind: 'NotFound',
    });
  });
});

describe('Content.Read', () => {
  const text = 'abcdefghij';
  let digest: string;
  beforeAll(async () => {
    digest = await fixture.put(text);
  });

  const read = async (offset: bigint, size: bigint) => {
    const messages = await Array.fromAsync(fixture.content.read({ digest, offset, size }, callOf()));
    return messages.map((message) => [message.offset, Buffer.from(message.data).toString()]);
  };

  it.each<[bigint, bigint, [bigint, string][]]>([
    [0n, 0n, [[0n, text]]],
    [3n, 4n, [[0n, 'defg']]],
    [3n, 0n, [[0n, 'defghij']]],
    [3n, -1n, [[0n, 'defghij']]],
    [3n, 100n, [[0n, 'defghij']]],
    [-3n, 2n, [[0n, 'ab']]],
    [10n, 0n, []],
  ])('from %i, %i bytes', async (offset, size, expected) => {
    expect(await read(offset, size)).toEqual(expected);
  });

  it('refuses to begin behind the end', async () => {
    await expect(read(11n, 0n)).rejects.toMatchObject({
      kind: 'OutOfRange',
      message: 'read past object length 10 bytes: out of range',
    });
  });

  it('sends a large blob in pieces of at most 1 MiB, counted from the start of the read', async () => {
    const data = randomBytes(5 * 1024 * 1024 + 17);
    const large = await fixture.put(data);
    const messages = await Array.fromAsync(fixture.content.read({ digest: large, offset: 1n }, callOf()));
    let expected = 0;
    for (const message of messages) {
      expect(message.offset).toBe(BigInt(expected));
      expect(message.data.byteLength).toBeLessThanOrEqual(1024 * 1024);
      expected += message.data.byteLength;
    }
    expect(Buffer.concat(messages.map((message) => message.data)).equals(data.subarray(1))).toBe(true);
  });
});

describe('ingests', () => {
  it('are listed by ref, filtered, and aborted', async () => {
    const caller = { namespace: 'ingests' };
    for (const ref of ['layer-b', 'layer-a', 'config-x']) {
      await using session = fixture.write(caller);
      await session.send({ ref, total: 100n, action: WriteAction.WRITE, data: Buffer.from(ref) });
    }
    const list = async (...filters: string[]) => {
      const { statuses } = await fixture.content.listStatuses({ filters }, callOf(caller));
      return statuses.map(({ ref, offset, total }) => [ref, offset, total]);
    };
    expect(await list()).toEqual([
      ['config-x', 8n, 100n],
      ['layer-a', 7n, 100n],
      ['layer-b', 7n, 100n],
    ]);
    expect(await list('ref~=^layer-')).toHaveLength(2);
    await fixture.content.abort({ ref: 'layer-a' }, callOf(caller));
    expect(await list('ref==layer-a')).toEqual([]);
    for (const attempt of [fixture.content.abort, fixture.content.status]) {
      await expect(attempt({ ref: 'layer-a' }, callOf(caller))).rejects.toMatchObject({
        kind: 'NotFound',
        message: 'reference layer-a: not found',
      });
    }
  });

  it('show their progress while they are written', async () => {
    await using session = fixture.write();
    await session.send({ ref: 'slow', action: WriteAction.WRITE, data: Buffer.from('progress') });
    await vi.waitFor(async () => {
      const { status } = await fixture.content.status({ ref: 'slow' }, callOf());
      expect(status?.offset).toBe(8n);
      expect(timestampMs(status!.updatedAt!)).toBeGreaterThan(timestampMs(status!.startedAt!));
    }, 5000);
  });

  it('end their writer when they are aborted', async () => {
    await using session = fixture.write();
    await session.send({ ref: 'doomed', action: WriteAction.WRITE, data: Buffer.from('abc') });
    await fixture.content.abort({ ref: 'doomed' }, callOf());
    await expect(session.send({ action: WriteAction.COMMIT, offset: 3n })).rejects.toMatchObject({
      kind: 'Unavailable',
    });
  });
});

describe('an ingest that is gone', () => {
  const tombstonesOf = async (uid: string) =>
    (await fixture.pool.query('SELECT digest FROM tombstones WHERE generation = $1', [uid])).rows;

  it('leaves nothing of what its writer stored after that', async () => {
    const node = 'n8';
    const digest = await fixture.put('linked', {}, { node });
    const caller = { namespace: 'aborted', node };
    await using session = fixture.write(caller);
    await session.send({ ref: 'gone', expected: digest });
    const { rows } = await fixture.pool.query("SELECT uid FROM ingests WHERE ref = 'gone'");
    const [{ uid }] = rows;
    await fixture.content.abort({ ref: 'gone' }, callOf(caller));
    await vi.waitFor(async () => expect(await tombstonesOf(uid)).toEqual([]), 15_000);
    // Behind a linked blob, the bytes become the ingest's own.
    const behind = session.send({ action: WriteAction.WRITE, offset: 6n, data: Buffer.from('!') });
    await expect(behind).rejects.toMatchObject({ kind: 'Unavailable' });
    // Rounds are made now and then, and when an ingest is aborted.
    await using other = fixture.write(caller);
    await other.send({ ref: 'other' });
    await fixture.content.abort({ ref: 'other' }, callOf(caller));
    const left = join(fixture.directory, 'content', 'ingests', uid);
    await vi.waitFor(() => expect(access(left)).rejects.toThrow(), 5000);
  });

  it('leaves no blob that nobody commits any more', async () => {
    const options = { instance: 'test', writerTimeoutMs: 0, sharesNamespaces: true };
    const records = new IngestRepository(fixture.pool, options);
    const scope = { namespace: 'lost', node: '_' };
    const request = { ref: 'lost', totalBytes: 0, expected: undefined, lease: undefined };
    const stale = (await records.open(scope, request))!;
    const digest = digestOf('published');
    const commit = () =>
      records.commit(stale, { digest, generation: stale.uid, sizeBytes: 9 }, {}, undefined, (content) =>
        contentEvents.created(content),
      );
    // Its bytes may be those of the next writer's commit.
    await records.open(scope, request);
    await expect(commit()).rejects.toMatchObject({ kind: 'Unavailable' });
    expect(await tombstonesOf(stale.uid)).toEqual([]);
    await fixture.pool.query('DELETE FROM ingests WHERE uid = $1', [stale.uid]);
    await expect(commit()).rejects.toMatchObject({ kind: 'Unavailable' });
    expect(await tombstonesOf(stale.uid)).toEqual([{ digest }]);
  });
});

describe('a restarted service', () => {
  it('resumes at what was durable, also for a ref whose writer it had', async () => {
    await using own = await QuickFixture.start();
    const session = own.fixture.write();
    await session.send({ ref: 'across', total: 6n, action: WriteAction.WRITE, data: Buffer.from('abc') });
    await session.send({ action: WriteAction.STAT });
    await own.fixture.restart();
    await session.end().catch(() => undefined);
    await using resumed = own.fixture.write();
    expect(await resumed.send({ ref: 'across', total: 6n })).toMatchObject({
      offset: 3n,
      digest: digestOf('abc'),
    });
    await resumed.send({ action: WriteAction.COMMIT, offset: 3n, data: Buffer.from('def') });
    expect(await own.fixture.read(digestOf('abcdef'))).toBe('abcdef');
  });
});

/** A service that waits for nothing before it removes bytes. */
class QuickFixture implements AsyncDisposable {
  readonly fixture: ContentFixture;

  private constructor(fixture: ContentFixture) {
    this.fixture = fixture;
  }

  static async start(): Promise<QuickFixture> {
    const env = { LONGSHORE_CONTENT_GRACE_MS: '0', LONGSHORE_SHUTDOWN_TIMEOUT_MS: '100' };
    return new QuickFixture(await ContentFixture.start(env));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.fixture.close();
  }
}
