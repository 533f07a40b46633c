import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { digestOf } from '@longshore/oci';
import { WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ContentFixture, callOf } from './testing/content-fixture.ts';

const { COMMIT, STAT, WRITE } = WriteAction;

let fixture: ContentFixture;

beforeAll(async () => {
  fixture = await ContentFixture.start({ LONGSHORE_CONTENT_GRACE_MS: '0' });
});

afterAll(() => fixture.close());

describe.each(['sha256', 'sha384', 'sha512'] as const)('a blob named by %s', (algorithm) => {
  const text = `named by ${algorithm}`;
  const total = BigInt(text.length);
  const expected = digestOf(text, algorithm);
  const caller = { namespace: algorithm, node: 'n1' };

  it('is written, also in two sessions, and is what its name says', async () => {
    const ref = randomUUID();
    const first = fixture.write(caller);
    const opened = await first.send({ ref, total, expected });
    expect(opened).toMatchObject({ offset: 0n, digest: digestOf('', algorithm) });
    await first.send({ action: WRITE, data: Buffer.from(text.slice(0, 5)) });
    expect(await first.send({ action: STAT })).toMatchObject({
      digest: digestOf(text.slice(0, 5), algorithm),
    });
    await first.end();

    await using second = fixture.write(caller);
    expect(await second.send({ ref, total, expected })).toMatchObject({
      offset: 5n,
      digest: digestOf(text.slice(0, 5), algorithm),
    });
    const rest = Buffer.from(text.slice(5));
    const labels = { 'containerd.io/gc.root': 'yes' };
    const done = await second.send({ action: COMMIT, offset: 5n, data: rest, total, expected, labels });
    expect(done).toMatchObject({ offset: total, digest: expected });
    await expect(fixture.write(caller).send({ ref: randomUUID(), expected })).rejects.toMatchObject({
      kind: 'AlreadyExists',
    });
  });

  it('is refused when its bytes are others', async () => {
    await using session = fixture.write(caller);
    await session.send({ ref: randomUUID(), expected: digestOf('others', algorithm) });
    await expect(session.send({ action: COMMIT, data: Buffer.from(text) })).rejects.toMatchObject({
      kind: 'FailedPrecondition',
    });
  });

  it('is told of, listed, read, located and updated', async () => {
    const { info } = await fixture.content.info({ digest: expected }, callOf(caller));
    expect(info).toMatchObject({ digest: expected, size: total });
    const filters = [`digest==${expected}`];
    const listed = await Array.fromAsync(fixture.content.list({ filters }, callOf(caller)));
    expect(listed.flatMap(({ info: infos }) => infos.map(({ digest }) => digest))).toEqual([expected]);
    expect(await fixture.read(expected, caller)).toBe(text);
    const { place, size } = await fixture.blobs.locate({ digest: expected }, callOf(caller));
    expect([await readFile(place?.file ?? '', 'utf8'), size]).toEqual([text, total]);
    const update = { info: { digest: expected, labels: { a: '1' } }, updateMask: { paths: ['labels.a'] } };
    expect((await fixture.content.update(update, callOf(caller))).info?.labels).toMatchObject({ a: '1' });
  });

  it('is linked elsewhere, by a write and by a link', async () => {
    await using session = fixture.write({ ...caller, node: 'n2' });
    expect(await session.send({ ref: randomUUID(), expected })).toMatchObject({
      offset: total,
      digest: expected,
    });
    await session.send({
      action: COMMIT,
      offset: total,
      expected,
      labels: { 'containerd.io/gc.root': 'yes' },
    });
    const { blobs } = await fixture.blobs.link(
      { blobs: [{ digest: expected }] },
      callOf({ ...caller, node: 'n3' }),
    );
    expect(blobs[0]).toMatchObject({ linked: true, size: total });
    for (const node of ['n2', 'n3']) expect(await fixture.read(expected, { ...caller, node })).toBe(text);
  });

  it('is kept by a label that names it, and goes with its bytes when nothing does', async () => {
    const kept = digestOf(`kept by ${algorithm}`, algorithm);
    const scope = { namespace: `${algorithm}-collected` };
    const session = fixture.write(scope);
    await session.send({ ref: randomUUID(), expected: kept });
    const parent = { 'containerd.io/gc.root': 'yes', 'containerd.io/gc.ref.content.0': kept };
    const root = fixture.write(scope);
    await root.send({ ref: randomUUID(), action: COMMIT, data: Buffer.from(text), labels: parent });
    await root.end();
    await session.send({ action: COMMIT, data: Buffer.from(`kept by ${algorithm}`), expected: kept });
    await session.end();
    await fixture.collector.collect({ wait: true }, callOf(scope));
    expect(await fixture.read(kept, scope)).toBe(`kept by ${algorithm}`);
    const { place } = await fixture.blobs.locate({ digest: kept }, callOf(scope));
    await fixture.content.delete({ digest: digestOf(text) }, callOf(scope));
    await fixture.collector.collect({ wait: true }, callOf(scope));
    await expect(fixture.content.info({ digest: kept }, callOf(scope))).rejects.toMatchObject({
      kind: 'NotFound',
    });
    await vi.waitFor(() => expect(readFile(place?.file ?? '')).rejects.toThrow(), 10_000);
  });
});

describe('an ingest without a lease', () => {
  it('is kept for a day from when it was opened last', async () => {
    const remaining = async () => {
      const { rows } = await fixture.pool.query(
        `SELECT extract(epoch FROM expires_at - clock_timestamp())::float8 / 3600 AS hours FROM ingests WHERE ref = 'daily'`,
      );
      return rows[0].hours;
    };
    const open = async () => {
      const session = fixture.write();
      await session.send({ ref: 'daily' });
      await session.end();
    };
    await open();
    expect(await remaining()).toBeCloseTo(24, 1);
    await fixture.pool.query(
      `UPDATE ingests SET expires_at = clock_timestamp() + interval '1 hour' WHERE ref = 'daily'`,
    );
    await open();
    expect(await remaining()).toBeCloseTo(24, 1);
  });
});
