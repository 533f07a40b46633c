import { fromBinary } from '@bufbuild/protobuf';
import { SnapshotRemoveSchema } from '@longshore/proto/containerd/events/snapshot';
import { Header } from '@longshore/proto/headers';
import { Kind } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ServiceUnderTest, startSnapshotService } from '../../testing/snapshot-service.ts';

const snapshotter = 'overlayfs';
const headers = { [Header.Namespace]: 'default', [Header.Node]: 'node' };
const LONG_KEY = `${'k'.repeat(200)}é`;

let service: ServiceUnderTest;

beforeAll(async () => {
  service = await startSnapshotService();
  const { catalogue } = service;
  await catalogue.prepare({ snapshotter, key: 'tmp', kind: Kind.ACTIVE, generation: 'g1' }, { headers });
  await catalogue.commit({ snapshotter, name: 'base', key: 'tmp', labels: { l: '1' } }, { headers });
  const child = { snapshotter, key: LONG_KEY, parent: 'base', kind: Kind.ACTIVE, generation: 'g2' };
  await catalogue.prepare(child, { headers });
});

afterAll(() => service.close());

async function uidOf(key: string): Promise<string> {
  return (await service.catalogue.get({ snapshotter, key }, { headers })).snapshot!.uid;
}

/** As the collector does it: records by kind, key and uid. */
async function gcDelete(...records: [kind: string, key: string, uid: string][]) {
  const columns = [0, 1, 2].map((column) => records.map((record) => record[column]));
  const { rows } = await service.database.query(
    'SELECT * FROM snapshot.gc_delete($1, $2, $3, $4, $5::uuid[])',
    ['default', 'node', ...columns],
  );
  return rows;
}

describe('the collection contract', () => {
  it('shows every snapshot and the reference to its parent', async () => {
    const objects = await service.database.query(
      `SELECT kind, key, labels, collectable FROM snapshot.gc_objects WHERE namespace = 'default' AND node = 'node' ORDER BY key`,
    );
    expect(objects.rows).toEqual([
      { kind: 'snapshot', key: 'overlayfs/base', labels: { l: '1' }, collectable: true },
      { kind: 'snapshot', key: `overlayfs/${LONG_KEY}`, labels: {}, collectable: true },
    ]);
    const references = await service.database.query(
      'SELECT from_kind, from_key, to_kind, to_key FROM snapshot.gc_references',
    );
    expect(references.rows).toEqual([
      {
        from_kind: 'snapshot',
        from_key: `overlayfs/${LONG_KEY}`,
        to_kind: 'snapshot',
        to_key: 'overlayfs/base',
      },
    ]);
    expect((await service.database.query('SELECT * FROM snapshot.gc_roots')).rows).toEqual([]);
    expect((await service.database.query('SELECT snapshot.gc_version() AS version')).rows).toEqual([
      { version: 1 },
    ]);
  });

  it('refuses a parent whose child stays', async () => {
    await expect(gcDelete(['snapshot', 'overlayfs/base', await uidOf('base')])).rejects.toThrow(
      'snapshots_parent',
    );
  });

  it('leaves a record whose uid or kind differs', async () => {
    const uid = await uidOf(LONG_KEY);
    const rows = await gcDelete(
      ['snapshot', `overlayfs/${LONG_KEY}`, crypto.randomUUID()],
      ['content', `overlayfs/${LONG_KEY}`, uid],
      ['snapshot', 'overlayfs/other', uid],
    );
    expect(rows).toEqual([]);
    expect(await uidOf(LONG_KEY)).toBe(uid);
  });

  it('deletes children and parents at once, with tombstones and events in that order', async () => {
    const rows = await gcDelete(
      ['snapshot', `overlayfs/${LONG_KEY}`, await uidOf(LONG_KEY)],
      ['snapshot', 'overlayfs/base', await uidOf('base')],
    );
    expect(rows.map(({ kind, key, topic, type_url }) => [kind, key, topic, type_url])).toEqual([
      ['snapshot', `overlayfs/${LONG_KEY}`, '/snapshot/remove', SnapshotRemoveSchema.typeName],
      ['snapshot', 'overlayfs/base', '/snapshot/remove', SnapshotRemoveSchema.typeName],
    ]);
    expect(rows.map(({ payload }) => fromBinary(SnapshotRemoveSchema, payload))).toMatchObject([
      { key: LONG_KEY, snapshotter },
      { key: 'base', snapshotter },
    ]);
    const { tombstones } = await service.catalogue.listTombstones({}, { headers });
    expect(tombstones.map((one) => one.generation).sort()).toEqual(['g1', 'g2']);
    const outbox = await service.database.query(
      `SELECT subject FROM snapshot.outbox WHERE topic = '/snapshot/remove' ORDER BY seq`,
    );
    expect(outbox.rows.map((row) => row.subject)).toEqual([`overlayfs/${LONG_KEY}`, 'overlayfs/base']);
  });
});
