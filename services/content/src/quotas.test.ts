import { randomBytes } from 'node:crypto';
import { isKind } from '@longshore/errors';
import { digestOf } from '@longshore/oci';
import { WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { formatBytes } from './domain/quota.ts';
import { type Caller, type ContentClients, ContentFixture, callOf } from './testing/content-fixture.ts';

let fixture: ContentFixture;
/** A namespace of its own for each test. */
let namespace: string;
let count = 0;

beforeAll(async () => {
  fixture = await ContentFixture.start();
});

afterAll(() => fixture?.close());

function fresh(limits: { storedBytes?: bigint; openIngests?: bigint } = {}): Promise<unknown> {
  namespace = `quota-${count++}`;
  return fixture.quotas.set({ namespace, limits });
}

const on = (node: string): Caller => ({ namespace, node });

async function useOf({ quotas }: ContentClients = fixture) {
  const { quota } = await quotas.get({ namespace });
  return { bytes: Number(quota?.storedBytes), ingests: Number(quota?.openIngests) };
}

const exceeded = (text: string) =>
  expect.objectContaining({
    kind: 'ResourceExhausted',
    message: expect.stringContaining(`namespace "${namespace}": ${text}`),
  });

/** Sends a blob without saying before how large it is. */
async function sendUnannounced(data: Buffer, ref: string, caller: Caller) {
  const session = fixture.write(caller);
  await session.send({ ref });
  await session.send({ action: WriteAction.WRITE, data });
  return { session, commit: { action: WriteAction.COMMIT, offset: BigInt(data.length) } };
}

describe("a namespace's quota", () => {
  /** The counters are what the records say. */
  afterEach(async () => {
    const { rows } = await fixture.pool.query(
      `SELECT used.namespace, used.bytes::int, coalesce(held.bytes, 0)::int AS held
       FROM (SELECT namespace, sum(bytes) AS bytes FROM namespace_bytes GROUP BY namespace) AS used
       LEFT JOIN (
         SELECT namespace, sum(size) AS bytes FROM (
           SELECT DISTINCT c.namespace, c.digest, b.size FROM contents AS c JOIN blobs AS b USING (digest)
         ) AS once GROUP BY namespace
       ) AS held USING (namespace) WHERE used.bytes <> coalesce(held.bytes, 0)`,
    );
    expect(rows).toEqual([]);
  });

  it('counts each blob once, however many nodes hold it, until the last lets go of it', async () => {
    await fresh();
    const bytes = randomBytes(1000);
    const digest = await fixture.put(bytes, {}, on('n1'));
    await fixture.put(bytes, {}, on('n2'));
    await fixture.blobs.link({ blobs: [{ digest }] }, callOf(on('n3')));
    expect(await useOf()).toEqual({ bytes: 1000, ingests: 0 });
    await fixture.content.delete({ digest }, callOf(on('n1')));
    await fixture.blobs.forgetNode({ node: 'n2' });
    expect((await useOf()).bytes).toBe(1000);
    // By the collector.
    await fixture.leases.create({ id: 'short' }, callOf(on('n3')));
    await fixture.leases.delete({ id: 'short', sync: true }, callOf(on('n3')));
    expect((await useOf()).bytes).toBe(0);
  });

  it('refuses a blob of an announced size as it is opened, naming limit and use', async () => {
    await fresh({ storedBytes: 10_000n });
    await fixture.put(randomBytes(9_500), {}, on('n1'));
    const data = randomBytes(600);
    await expect(fixture.put(data, {}, on('n2'))).rejects.toEqual(
      exceeded('9.5 kB of 10 kB stored, 600 B more asked for: quota exceeded'),
    );
    await fixture.put(data.subarray(0, 500), {}, on('n2'));
    expect(await useOf()).toEqual({ bytes: 10_000, ingests: 0 });
    await fixture.quotas.set({ namespace, limits: { storedBytes: 10_600n } });
    await fixture.put(data, {}, on('n2'));
  });

  it('lets a full namespace hold on another node what it holds already', async () => {
    await fresh({ storedBytes: 1_000n });
    const bytes = randomBytes(1_000);
    const digest = await fixture.put(bytes, {}, on('n1'));
    await fixture.put(bytes, {}, on('n2'));
    const { blobs } = await fixture.blobs.link({ blobs: [{ digest }] }, callOf(on('n3')));
    expect(blobs).toMatchObject([{ linked: true }]);
    // And heal it.
    await fixture.pool.query('SELECT quarantine_blob(digest, generation, $2) FROM blobs WHERE digest = $1', [
      digest,
      'test',
    ]);
    await fixture
      .put(bytes, {}, on('n1'))
      .catch((error) => expect(isKind(error, 'AlreadyExists')).toBe(true));
    expect(await fixture.read(digest, on('n3'))).toBe(bytes.toString());
  });

  it('refuses to link what would be too much, and links none of it', async () => {
    await fresh();
    const shared = { namespace, node: 'n1' };
    const digests = [
      await fixture.put(randomBytes(400), {}, shared),
      await fixture.put(randomBytes(400), {}, shared),
    ];
    await fresh({ storedBytes: 700n });
    const link = () => fixture.blobs.link({ blobs: digests.map((digest) => ({ digest })) }, callOf(on('n1')));
    await expect(link()).rejects.toEqual(exceeded('0 B of 700 B stored, 800 B more asked for'));
    expect((await useOf()).bytes).toBe(0);
    await fixture.quotas.set({ namespace, limits: { storedBytes: 800n } });
    await link();
    expect((await useOf()).bytes).toBe(800);
  });

  it.each([0n, 1n])('refuses bytes that never end, %i of them announced', async (total) => {
    await fresh({ storedBytes: 1_000_000n });
    const session = fixture.write(on('n1'));
    await session.send({ ref: 'endless', total });
    const data = Buffer.alloc(4 * 1024 * 1024);
    const send = async () => {
      for (let offset = 0; offset < 100e6; offset += data.length) {
        await session.send({ action: WriteAction.WRITE, offset: BigInt(offset), data });
      }
    };
    await expect(send()).rejects.toEqual(exceeded('0 B of 1 MB stored'));
    await fixture.content.abort({ ref: 'endless' }, callOf(on('n1')));
  });

  it('refuses a blob of unknown size as it is committed; the ingest stays, and can be committed later', async () => {
    await fresh({ storedBytes: 100n });
    const data = randomBytes(101);
    {
      const { session, commit } = await sendUnannounced(data, 'large', on('n1'));
      await expect(session.send(commit)).rejects.toEqual(exceeded('0 B of 100 B stored, 101 B more'));
    }
    const { status } = await fixture.content.status({ ref: 'large' }, callOf(on('n1')));
    expect(status?.offset).toBe(101n);
    await fixture.quotas.set({ namespace, limits: {} });
    await using session = fixture.write(on('n1'));
    const { offset } = await session.send({ ref: 'large' });
    await session.send({ action: WriteAction.COMMIT, offset });
    expect((await useOf()).bytes).toBe(101);
  });

  it('is never passed together by commits at once, on two replicas', async () => {
    await using replica = await fixture.replica();
    await fresh({ storedBytes: 5_000n });
    const blobs = Array.from({ length: 10 }, () => randomBytes(1_000));
    const sessions = blobs.map((_, n) => fixture.write(on(`n${n % 3}`), n % 2 === 0 ? fixture : replica));
    await Promise.all(
      sessions.map((session, n) =>
        session.send({ ref: `r${n}`, total: 1_000n, expected: digestOf(blobs[n]!) }),
      ),
    );
    await Promise.all(
      sessions.map((session, n) => session.send({ action: WriteAction.WRITE, data: blobs[n]! })),
    );
    const commit = { action: WriteAction.COMMIT, offset: 1_000n };
    const outcomes = await Promise.allSettled(sessions.map((session) => session.send(commit)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(5);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toEqual(exceeded('5 kB of 5 kB stored'));
    }
    expect((await useOf(replica)).bytes).toBe(5_000);
  });

  it('limits open ingests, of all nodes together, and lets those that are open go on', async () => {
    await fresh({ openIngests: 2n });
    const open = async (ref: string, node: string) => {
      await using session = fixture.write(on(node));
      return session.send({ ref });
    };
    await open('a', 'n1');
    await open('b', 'n2');
    await expect(open('c', 'n3')).rejects.toEqual(exceeded('2 of 2 ingests open: quota exceeded'));
    await open('a', 'n1');
    expect((await useOf()).ingests).toBe(2);
    // One that has expired does not count, until it is opened anew.
    await fixture.pool.query("UPDATE ingests SET expires_at = now() WHERE namespace = $1 AND ref = 'a'", [
      namespace,
    ]);
    await open('c', 'n3');
    await expect(open('a', 'n1')).rejects.toEqual(exceeded('2 of 2 ingests open'));
    await fixture.content.abort({ ref: 'b' }, callOf(on('n2')));
    await open('a', 'n1');
  });

  it('counts a blob that one node comes to hold as the last of the others lets go of it', async () => {
    await fresh();
    const digest = await fixture.put(randomBytes(500), {}, on('n1'));
    const coming = await fixture.pool.connect();
    await coming.query('BEGIN');
    await coming.query(
      `INSERT INTO contents (namespace, node, digest, generation, revision)
       SELECT $1, 'n2', digest, generation, nextval('revision') FROM blobs WHERE digest = $2`,
      [namespace, digest],
    );
    let isDone = false;
    const leaving = fixture.content.delete({ digest }, callOf(on('n1'))).then(() => {
      isDone = true;
    });
    await vi.waitFor(async () => {
      const { rowCount } = await fixture.pool.query(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      );
      expect(isDone || rowCount === 1).toBe(true);
    });
    await coming.query('COMMIT');
    coming.release();
    await leaving;
    expect((await useOf()).bytes).toBe(500);
  });

  it('has defaults by configuration, which its own limits replace', async () => {
    const env = { LONGSHORE_CONTENT_QUOTA_BYTES: '50', LONGSHORE_CONTENT_QUOTA_INGESTS: '3' };
    await using _ = await fixture.replica(env);
    await fresh();
    expect((await fixture.quotas.get({ namespace })).quota).toMatchObject({
      maxStoredBytes: 50n,
      maxOpenIngests: 3n,
      own: {},
    });
    await expect(fixture.put(randomBytes(51), {}, on('n1'))).rejects.toEqual(
      exceeded('0 B of 50 B stored, 51 B more'),
    );
    const { quota } = await fixture.quotas.set({ namespace, limits: { storedBytes: 0n } });
    expect(quota).toMatchObject({ own: { storedBytes: 0n }, maxStoredBytes: 0n, maxOpenIngests: 3n });
    await fixture.put(randomBytes(51), {}, on('n1'));
    await using _none = await fixture.replica();
    expect((await fixture.quotas.get({ namespace })).quota).toMatchObject({ maxOpenIngests: 0n });
  });

  it('is listed with its use, in order; names and limits are checked', async () => {
    await fresh({ openIngests: 7n });
    const { quotas } = await fixture.quotas.list({});
    const names = quotas.map((quota) => quota.namespace);
    expect(names).toEqual([...names].sort());
    expect(quotas.find((quota) => quota.namespace === namespace)).toMatchObject({
      own: { openIngests: 7n },
      maxOpenIngests: 7n,
      storedBytes: 0n,
    });
    const invalid = expect.objectContaining({ kind: 'InvalidArgument' });
    await expect(fixture.quotas.set({ namespace: 'a b', limits: {} })).rejects.toEqual(invalid);
    await expect(fixture.quotas.set({ namespace, limits: { storedBytes: -1n } })).rejects.toEqual(invalid);
  });
});

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [10_000_000_000, '10 GB'],
    [9_960_000_000, '10.0 GB'],
    [1_500, '1.5 kB'],
  ])('shows %i as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});
