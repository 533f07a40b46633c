import { fromBinary } from '@bufbuild/protobuf';
import { digestOf } from '@longshore/oci';
import { EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import { Header } from '@longshore/proto/headers';
import { RecordSchema } from '@longshore/proto/longshore/watch/v1/watch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ContentFixture, callOf } from '../testing/content-fixture.ts';

const NODE = { node: 'n1' };

let fixture: ContentFixture;

beforeAll(async () => {
  fixture = await ContentFixture.start();
});

afterAll(() => fixture.close());

describe('Link', () => {
  it('makes content of many blobs at once, with lease, event and record for each', async () => {
    const digests = [await fixture.put('one'), await fixture.put('two')];
    await fixture.leases.create({ id: 'pull' }, callOf(NODE));
    const seen: string[] = [];
    const { blobs } = await fixture.blobs.link(
      {
        blobs: [
          { digest: digests[0]!, size: 3n, labels: { a: '1', empty: '' } },
          { digest: digestOf('three') },
          { digest: digests[1]! },
        ],
      },
      {
        ...callOf({ ...NODE, lease: 'pull' }),
        onTrailers: (trailers) => {
          for (const event of trailers.get(Header.EventBin)) {
            seen.push(fromBinary(EnvelopeSchema, event as Buffer).topic);
          }
          for (const record of trailers.get(Header.RecordBin)) {
            seen.push(fromBinary(RecordSchema, record as Buffer).key);
          }
        },
      },
    );
    expect(blobs.map(({ linked, size }) => [linked, size])).toEqual([
      [true, 3n],
      [false, 0n],
      [true, 3n],
    ]);
    expect(blobs[0]?.place?.file).toContain(digests[0]!.slice('sha256:'.length));
    expect(seen.sort()).toEqual(['/content/create', '/content/create', ...digests].sort());
    const { info } = await fixture.content.info({ digest: digests[0]! }, callOf(NODE));
    expect(info).toMatchObject({ size: 3n, labels: { a: '1' } });
    const { resources } = await fixture.leases.listResources({ id: 'pull' }, callOf(NODE));
    expect(resources.map(({ id }) => id).sort()).toEqual([...digests].sort());
    const { rows } = await fixture.pool.query(
      `SELECT o.subject FROM outbox AS o JOIN contents AS c
         ON c.node = o.node AND c.digest = o.subject AND c.revision = o.revision
       WHERE o.node = 'n1' AND o.topic = '/content/create'`,
    );
    expect(rows.map(({ subject }) => subject).sort()).toEqual([...digests].sort());
  });

  it('adds labels that held content lacks, and tells of nothing', async () => {
    const digest = await fixture.put('held', { a: 'own' }, NODE);
    const link = { blobs: [{ digest, labels: { a: 'other', b: 'new' } }] };
    const { blobs } = await fixture.blobs.link(link, callOf(NODE));
    expect(blobs[0]?.linked).toBe(true);
    const { info } = await fixture.content.info({ digest }, callOf(NODE));
    expect(info?.labels).toEqual({ a: 'own', b: 'new' });
    const { rowCount } = await fixture.pool.query('SELECT FROM outbox WHERE subject = $1', [digest]);
    expect(rowCount).toBe(1);
  });

  it('refuses an unknown lease, and then links nothing', async () => {
    const digest = await fixture.put('unleased');
    const caller = callOf({ node: 'n3', lease: 'none' });
    await expect(fixture.blobs.link({ blobs: [{ digest }] }, caller)).rejects.toMatchObject({
      kind: 'NotFound',
    });
    await expect(fixture.content.info({ digest }, callOf({ node: 'n3' }))).rejects.toMatchObject({
      kind: 'NotFound',
    });
  });
});

describe('ForgetNode', () => {
  it('removes all that the node has, of every service, and nothing of others', async () => {
    const gone = { node: 'gone' };
    const digest = await fixture.put('of two', {}, gone);
    await fixture.put('of two', {}, { node: 'stays' });
    await fixture.put('elsewhere', {}, { namespace: 'other', ...gone });
    const session = fixture.write(gone);
    await session.send({ ref: 'half', total: 9n });
    await session.end();
    await fixture.pool.query(
      `INSERT INTO image.images (node, name, target_digest) VALUES ('gone', 'i', $1)`,
      [digest],
    );
    await fixture.pool.query(
      `INSERT INTO snapshot.snapshots (node, name, parent) VALUES ('gone', 'base', NULL), ('gone', 'top', 'base')`,
    );
    const left = async (node: string) => {
      const { rows } = await fixture.pool.query(
        `SELECT 'content' FROM contents WHERE node = $1 UNION ALL SELECT 'lease' FROM leases WHERE node = $1
         UNION ALL SELECT 'ingest' FROM ingests WHERE node = $1 UNION ALL SELECT 'ns' FROM namespaces WHERE node = $1
         UNION ALL SELECT 'image' FROM image.images WHERE node = $1
         UNION ALL SELECT 'snapshot' FROM snapshot.snapshots WHERE node = $1`,
        [node],
      );
      return rows.length;
    };
    expect(await left('gone')).toBe(10);
    const before = await left('stays');
    await fixture.blobs.forgetNode({ node: 'gone' });
    await fixture.blobs.forgetNode({ node: 'gone' });
    expect(await left('gone')).toBe(0);
    expect(await left('stays')).toBe(before);
    expect(await fixture.read(digest, { node: 'stays' })).toBe('of two');
  });
});
