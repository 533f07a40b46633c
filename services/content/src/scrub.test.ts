import { randomBytes } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { type Digest, digestOf } from '@longshore/oci';
import { Leadership } from '@longshore/postgres';
import { WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { AcquireResponse_Result as Result } from '@longshore/proto/longshore/content/v1/blobs';
import { BlobCorruptSchema } from '@longshore/proto/longshore/content/v1/scrub';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { HealthRepository } from './storage/postgres/health-repository.ts';
import { type Caller, type ContentClients, ContentFixture, callOf } from './testing/content-fixture.ts';
import { damages, flipByte } from './testing/damage.ts';

const N1: Caller = { namespace: 'ci', node: 'n1' };
const N2: Caller = { namespace: 'ci', node: 'n2' };
const dataLoss = (digest: string) =>
  expect.objectContaining({ kind: 'DataLoss', message: expect.stringContaining(digest) });

/** Nothing is found but by those who are asked to look. */
let quiet: ContentFixture;
/** Looks all the time. */
let busy: ContentFixture;

beforeAll(async () => {
  quiet = await ContentFixture.start();
  busy = await ContentFixture.start({
    LONGSHORE_CONTENT_SCRUB_ROUND_MS: '100',
    LONGSHORE_CONTENT_SCRUB_BYTES_PER_SECOND: '1000000000',
  });
});

afterAll(() => Promise.all([quiet?.close(), busy?.close()]));

async function fileOf({ blobs }: ContentClients, digest: Digest, caller: Caller = N1): Promise<string> {
  return (await blobs.locate({ digest }, callOf(caller))).place?.file ?? '';
}

/** A blob that n1 and n2 hold and that is in quarantine, with its bytes. */
async function corruptBlob(fixture: ContentFixture) {
  const bytes = randomBytes(2000);
  const digest = await fixture.put(bytes, { made: 'by n1' }, N1);
  await fixture.put(bytes, { made: 'by n2' }, N2);
  const file = await fileOf(fixture, digest);
  await flipByte(file);
  await fixture.scrub.scrub({ digest });
  return { bytes, digest, file };
}

async function corruptOf({ scrub }: ContentClients, digest: string) {
  const { blobs } = await scrub.listCorrupt({});
  return blobs.find((blob) => blob.digest === digest);
}

function eventsOf({ pool }: ContentFixture, digest: string) {
  return pool
    .query<{ topic: string; payload: Buffer }>(
      "SELECT topic, payload FROM outbox WHERE namespace = '_' AND node = '_' AND subject = $1 ORDER BY seq",
      [digest],
    )
    .then(({ rows }) => rows);
}

describe('the scrubber', () => {
  it.each(Object.keys(damages))('finds a blob %s, and sees when it is right again', async (damage) => {
    const digest = await busy.put(randomBytes(5000), {}, N1);
    const undo = await damages[damage]!(await fileOf(busy, digest));
    const found = await vi.waitFor(async () => {
      const corrupt = await corruptOf(busy, digest);
      if (!corrupt) throw new Error('not found yet');
      return corrupt;
    }, 10_000);
    expect(found).toMatchObject({ size: 5000n, holders: [{ namespace: 'ci', node: 'n1' }] });
    expect(found.reason).toMatch(/missing|4999|digest sha256:/);
    await expect(busy.read(digest, N1)).rejects.toEqual(dataLoss(digest));
    await undo();
    await vi.waitFor(() => busy.read(digest, N1), 10_000);
    const [corrupt, restored] = await eventsOf(busy, digest);
    expect(corrupt?.topic).toBe('/content/corrupt');
    expect(restored?.topic).toBe('/content/restored');
    expect(fromBinary(BlobCorruptSchema, corrupt!.payload)).toMatchObject({
      digest,
      reason: found.reason,
      namespaces: ['ci'],
    });
  });

  it('goes on after a restart, and reads each blob once in a round, whoever leads', async () => {
    await using fixture = disposable(
      await ContentFixture.start({ LONGSHORE_CONTENT_SCRUB_BYTES_PER_SECOND: '0' }),
    );
    const digests: Digest[] = [];
    for (let n = 0; n < 5; n++) digests.push(await fixture.put(`blob ${n}`));
    const half = digests.slice(0, 2);
    await fixture.pool.query(
      `UPDATE blobs SET created_at = now() - interval '2 days',
         verified_at = CASE WHEN digest = ANY ($1) THEN now() - interval '1 hour' END`,
      [half],
    );
    const day = { LONGSHORE_CONTENT_SCRUB_ROUND_MS: '86400000' };
    const rate = { LONGSHORE_CONTENT_SCRUB_BYTES_PER_SECOND: '1000000000' };
    await using _one = await fixture.replica({ ...day, ...rate });
    await using _two = await fixture.replica({ ...day, ...rate });
    const verified = () =>
      fixture.pool.query(
        `SELECT digest, xmin::text FROM blobs WHERE verified_at > now() - interval '1 minute' ORDER BY digest`,
      );
    await vi.waitFor(async () => {
      const { rows } = await verified();
      expect(rows.map(({ digest }) => digest)).toEqual(digests.slice(2).sort());
    }, 10_000);
  });

  it('writes nothing once its term is over', async () => {
    const digest = await quiet.put(randomBytes(100), {}, N1);
    const records = new HealthRepository(quiet.pool);
    const blob = (await records.find(digest))!;
    const leadership = new Leadership(quiet.pool, { holder: 'paused', onError: () => undefined });
    const refused = new Promise((resolve) => {
      void leadership.runWhileLeading('scrub-test', async (term) => {
        await quiet.pool.query("UPDATE leaders SET term = term + 1 WHERE name = 'scrub-test'");
        resolve(await records.quarantine(blob, 'late', term).catch((error) => error));
      });
    });
    expect(await refused).toMatchObject({ kind: 'Unavailable' });
    await leadership.close();
    expect(await corruptOf(quiet, digest)).toBeUndefined();
  });

  it('takes nothing for corrupt while the store is away', async () => {
    const digest = await quiet.put(randomBytes(100), {}, N1);
    const store = join(quiet.directory, 'content');
    await rename(store, `${store}.away`);
    await expect(quiet.scrub.scrub({ digest })).rejects.toMatchObject({ kind: 'Unavailable' });
    await rename(`${store}.away`, store);
    expect(await quiet.scrub.scrub({ digest })).toMatchObject({ size: 100n, corruptReason: '' });
    expect(await corruptOf(quiet, digest)).toBeUndefined();
  });

  it('knows only digests that are stored', async () => {
    const absent = { digest: digestOf('never stored') };
    await expect(quiet.scrub.scrub(absent)).rejects.toMatchObject({ kind: 'NotFound' });
    await expect(quiet.scrub.scrub({ digest: 'sha256:1' })).rejects.toMatchObject({
      kind: 'InvalidArgument',
    });
  });
});

describe('a blob in quarantine', () => {
  it('is neither read, located nor linked; its records stay', async () => {
    const { digest } = await corruptBlob(quiet);
    await expect(quiet.read(digest, N1)).rejects.toEqual(dataLoss(digest));
    await expect(quiet.blobs.locate({ digest }, callOf(N2))).rejects.toEqual(dataLoss(digest));
    for (const node of ['n1', 'n3']) {
      const { blobs } = await quiet.blobs.link({ blobs: [{ digest }] }, callOf({ ...N1, node }));
      expect(blobs).toMatchObject([{ digest, linked: false }]);
    }
    const claim = { registry: 'r', digest, holder: 'h' };
    expect(await quiet.claims.acquire(claim, callOf(N1))).toMatchObject({ result: Result.HELD });
    const { info } = await quiet.content.info({ digest }, callOf(N1));
    expect(info).toMatchObject({ digest, labels: { made: 'by n1' } });
  });

  it.each([
    ['one who holds it', N1],
    ['another', { namespace: 'other', node: 'n9' }],
  ])('is healed for all by the bytes of %s', async (_, caller) => {
    const { bytes, digest, file } = await corruptBlob(quiet);
    const total = BigInt(bytes.length);
    await using session = quiet.write({ ...caller, lease: '' });
    expect(await session.send({ ref: `heal-${digest}`, total, expected: digest })).toMatchObject({
      offset: 0n,
    });
    await session.send({ action: WriteAction.WRITE, data: bytes, expected: digest });
    // As always of content that the scope has: not an error to those who write.
    await session
      .send({ action: WriteAction.COMMIT, offset: total, total, expected: digest })
      .catch((error) => expect(error).toMatchObject({ kind: 'AlreadyExists' }));
    for (const [holder, labels] of [
      [N1, { made: 'by n1' }],
      [N2, { made: 'by n2' }],
    ] as const) {
      expect(await quiet.read(digest, holder)).toBe(bytes.toString());
      expect((await quiet.content.info({ digest }, callOf(holder))).info?.labels).toEqual(labels);
    }
    expect(await fileOf(quiet, digest)).not.toBe(file);
    expect((await eventsOf(quiet, digest)).map(({ topic }) => topic)).toEqual([
      '/content/corrupt',
      '/content/restored',
    ]);
    const { rows } = await quiet.pool.query('SELECT generation FROM tombstones WHERE digest = $1', [digest]);
    expect(rows).toEqual([{ generation: file.split('/').at(-1) }]);
  });

  it('is not committed by those who had linked it before', async () => {
    const bytes = randomBytes(300);
    const digest = await quiet.put(bytes, {}, N1);
    const file = await fileOf(quiet, digest);
    const total = BigInt(bytes.length);
    const open = { ref: `linked-${digest}`, total, expected: digest };
    await using session = quiet.write(N2);
    expect(await session.send(open)).toMatchObject({ offset: total });
    await flipByte(file);
    await quiet.scrub.scrub({ digest });
    const commit = { action: WriteAction.COMMIT, offset: total, total, expected: digest };
    await expect(session.send(commit)).rejects.toMatchObject({ kind: 'Unavailable' });
    await using again = quiet.write(N2);
    expect(await again.send(open)).toMatchObject({ offset: 0n });
    await again.send({ action: WriteAction.WRITE, data: bytes });
    await again.send(commit);
    expect(await quiet.read(digest, N1)).toBe(bytes.toString());
  });

  it('is healed once, with readers, linkers and deletions in between', async () => {
    const { bytes, digest } = await corruptBlob(quiet);
    const nodes = Array.from({ length: 8 }, (_, n) => ({ namespace: 'ci', node: `heal${n}` }));
    await Promise.all(
      nodes.map(async (caller, n) => {
        await quiet.put(bytes, {}, caller).catch((error) => {
          if (!['AlreadyExists', 'Unavailable'].includes(error.kind)) throw error;
        });
        if (n % 2 === 0) await quiet.content.delete({ digest }, callOf(caller)).catch(() => undefined);
        await quiet.blobs.link({ blobs: [{ digest }] }, callOf(caller));
        await quiet.collector.collect({ wait: true }, callOf(caller));
      }),
    );
    expect(await quiet.read(digest, N1)).toBe(bytes.toString());
    expect(await quiet.scrub.scrub({ digest })).toMatchObject({ corruptReason: '' });
    const { rows } = await quiet.pool.query(
      `SELECT count(DISTINCT generation)::int AS generations FROM contents WHERE digest = $1`,
      [digest],
    );
    expect(rows).toEqual([{ generations: 1 }]);
  });
});

describe('a verified read', () => {
  const MIB = 1024 * 1024;

  /** What a client has after it read from `offset` on in pieces of `size`, as `ctr content get` does; also after a failure. */
  async function pieces(
    digest: string,
    sizeBytes: number,
    size = sizeBytes,
    offset = 0,
    parts: Uint8Array[] = [],
  ): Promise<Buffer> {
    for (let at = offset; at < sizeBytes; at += size) {
      const request = { digest, offset: BigInt(at), size: BigInt(size) };
      for await (const { data } of quiet.content.read(request, callOf(N1))) parts.push(data);
    }
    return Buffer.concat(parts);
  }

  async function flipped(): Promise<{ digest: Digest; bytes: Buffer }> {
    const bytes = randomBytes(3 * MIB + 5);
    const digest = await quiet.put(bytes, {}, N1);
    await flipByte(await fileOf(quiet, digest));
    return { digest, bytes };
  }

  it.each([
    ['a read of the whole', { size: undefined, offset: 0 }],
    ['reads one behind the other', { size: MIB, offset: 0 }],
    ['reads of another size', { size: 700_001, offset: 0 }],
    ['a read of the end alone', { size: MIB, offset: 3 * MIB }],
    ['reads from the middle on', { size: MIB, offset: MIB }],
  ])('ends %s in DataLoss before the last byte, and quarantines', async (_, { size, offset }) => {
    const { digest, bytes } = await flipped();
    const received: Uint8Array[] = [];
    await expect(pieces(digest, bytes.length, size, offset, received)).rejects.toEqual(dataLoss(digest));
    expect(Buffer.concat(received).length).toBeLessThan(bytes.length - offset);
    expect(await corruptOf(quiet, digest)).toMatchObject({ reason: expect.stringContaining('sha256:') });
  });

  it('lets right bytes pass, in any pieces and order, by several at a time', async () => {
    const bytes = randomBytes(2 * MIB + 1);
    const digest = await quiet.put(bytes, {}, N1);
    const size = bytes.length;
    const read = await Promise.all([MIB, MIB, 700_000, size].map((piece) => pieces(digest, size, piece)));
    for (const copy of read) expect(copy.equals(bytes)).toBe(true);
    const request = { digest, offset: BigInt(size - 1) };
    for await (const { data } of quiet.content.read(request, callOf(N1)))
      expect([...data]).toEqual([bytes.at(-1)]);
  });

  it('is not made when it is turned off', async () => {
    await using off = await quiet.replica({ LONGSHORE_CONTENT_VERIFY_READS: 'off' });
    const { digest, bytes } = await flipped();
    let sizeBytes = 0;
    for await (const { data } of off.content.read({ digest }, callOf(N1))) sizeBytes += data.length;
    expect(sizeBytes).toBe(bytes.length);
  });

  it.each(['that is too short', 'that is gone'])(
    'fails at once for a blob %s, verified or not',
    async (damage) => {
      await using off = await quiet.replica({ LONGSHORE_CONTENT_VERIFY_READS: 'off' });
      const digest = await quiet.put(randomBytes(1000), {}, N1);
      await damages[damage]!(await fileOf(quiet, digest));
      const read = async () => {
        for await (const _ of off.content.read({ digest }, callOf(N1)));
      };
      await expect(read()).rejects.toEqual(dataLoss(digest));
      expect(await corruptOf(quiet, digest)).toBeDefined();
    },
  );
});

function disposable(fixture: ContentFixture): ContentFixture & AsyncDisposable {
  return Object.assign(fixture, { [Symbol.asyncDispose]: () => fixture.close() });
}
