import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { failedPrecondition } from '@longshore/errors';
import { Kind, Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import { Header } from '@longshore/proto/headers';
import { CatalogueService, SnapshotSchema } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { RecordSchema } from '@longshore/proto/longshore/watch/v1/watch';
import { Channel, createClient } from '@longshore/rpc';
import { describe, expect, it, onTestFinished } from 'vitest';
import { syncedCopy } from '../records/testing/copies.ts';
import { SnapshotRecords } from '../snapshots/snapshot-records.ts';
import { Snapshots as NodeSnapshots } from '../snapshots/snapshots.ts';
import { layersUnderTest, log, NODE_ID } from '../snapshots/testing/layers-under-test.ts';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import { toControlPlane } from '../socket/control-plane.ts';
import { snapshotsRpc } from './snapshots-rpc.ts';
import { served } from './testing/served.ts';

const snapshotter = 'overlayfs';
const options = { headers: { [Header.Namespace]: 'default' } };

async function start() {
  const layers = await layersUnderTest();
  const client = await served(
    Snapshots,
    snapshotsRpc({
      snapshots: layers.snapshots,
      catalogue: layers.catalogue.client,
      records: { takeFrom: () => undefined },
      housekeeping: { run: async () => undefined },
      toControlPlane: toControlPlane(NODE_ID),
    }),
  );
  return { ...layers, client };
}

describe('Snapshots of the node socket', () => {
  it('carries a snapshot through its life', async () => {
    const { client } = await start();
    await client.prepare({ snapshotter, key: 'key', labels: { a: 'b' } }, options);
    await client.commit({ snapshotter, key: 'key', name: 'base' }, options);
    const { mounts } = await client.prepare({ snapshotter, key: 'active', parent: 'base' }, options);
    expect(mounts).toMatchObject([{ type: 'overlay', source: 'overlay', target: '' }]);
    expect((await client.mounts({ snapshotter, key: 'active' }, options)).mounts).toEqual(mounts);
    const view = await client.view({ snapshotter, key: 'view', parent: 'base' }, options);
    expect(view.mounts).toMatchObject([{ type: 'bind', options: ['ro', 'rbind'] }]);

    const { info } = await client.stat({ snapshotter, key: 'base' }, options);
    expect(info).toMatchObject({ name: 'base', kind: Kind.COMMITTED });
    expect(info?.createdAt).toBeDefined();
    expect(await client.usage({ snapshotter, key: 'base' }, options)).toMatchObject({ inodes: 1n });
    expect(await client.usage({ snapshotter, key: 'view' }, options)).toMatchObject({ size: 0n, inodes: 0n });
    const updated = await client.update({ snapshotter, info: { name: 'base', labels: { x: 'y' } } }, options);
    expect(updated.info?.labels).toEqual({ x: 'y' });

    const kinds: [string, Kind][] = [];
    for await (const block of client.list({ snapshotter }, options)) {
      kinds.push(...block.info.map((one): [string, Kind] => [one.name, one.kind]));
    }
    expect(kinds).toEqual([
      ['base', Kind.COMMITTED],
      ['active', Kind.ACTIVE],
      ['view', Kind.VIEW],
    ]);
    await client.remove({ snapshotter, key: 'active' }, options);
    await expect(client.stat({ snapshotter, key: 'active' }, options)).rejects.toMatchObject({
      kind: 'NotFound',
    });
  });

  it('goes by what was last known of a snapshot while the catalogue is away, and changes nothing', async () => {
    const copy = syncedCopy();
    const { overlayfs, unsettled } = await layersUnderTest();
    const channel = new Channel(`unix://${await scratchDirectory()}/nobody.sock`);
    onTestFinished(() => channel.close());
    const catalogue = createClient(CatalogueService, channel);
    const records = new SnapshotRecords(copy);
    const snapshots = new NodeSnapshots({ catalogue, records, snapshotters: [overlayfs], unsettled, log });
    const [takeFrom, toService] = [() => undefined, toControlPlane(NODE_ID)];
    const handlers = snapshotsRpc({
      snapshots,
      catalogue,
      records: { takeFrom },
      housekeeping: { run: async () => undefined },
      toControlPlane: toService,
    });
    const client = await served(Snapshots, handlers);
    const value = toBinary(
      SnapshotSchema,
      create(SnapshotSchema, { name: 'a', kind: 3, snapshotter, size: 7n }),
    );
    const record = { kind: 'snapshot', namespace: 'default', key: `${snapshotter}/a`, revision: 1n, value };
    copy.apply([create(RecordSchema, record)]);
    copy.doubt('snapshot');
    expect((await client.usage({ snapshotter, key: 'a' }, options)).size).toBe(7n);
    expect((await client.stat({ snapshotter, key: 'a' }, options)).info?.name).toBe('a');
    await expect(client.commit({ snapshotter, key: 'b', name: 'c' }, options)).rejects.toMatchObject({
      kind: 'Unavailable',
    });
  });

  it('passes on the events that the catalogue reports', async () => {
    const { client } = await start();
    await client.prepare({ snapshotter, key: 'key' }, options);
    const topics: string[] = [];
    await client.remove(
      { snapshotter, key: 'key' },
      {
        ...options,
        onTrailers: (trailers) => {
          for (const value of trailers.get(Header.EventBin)) {
            topics.push(fromBinary(EnvelopeSchema, value as Buffer).topic);
          }
        },
      },
    );
    expect(topics).toEqual(['/snapshot/remove']);
  });

  it('passes on refusals as they are', async () => {
    const { client, catalogue } = await start();
    catalogue.faults.set('remove', {
      when: 'before',
      error: failedPrecondition('cannot remove snapshot with child'),
    });
    await expect(client.remove({ snapshotter, key: 'base' }, options)).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message: 'cannot remove snapshot with child: failed precondition',
    });
  });

  it('refuses snapshotters, namespaces and filters as containerd does', async () => {
    const { client } = await start();
    const stat = (name: string) => client.stat({ snapshotter: name, key: 'key' }, options);
    await expect(stat('')).rejects.toMatchObject({
      kind: 'InvalidArgument',
      message: 'snapshotter argument missing: invalid argument',
    });
    await expect(stat('zfs')).rejects.toMatchObject({
      kind: 'InvalidArgument',
      message: 'snapshotter not loaded: zfs: invalid argument',
    });
    await expect(client.stat({ snapshotter, key: 'key' })).rejects.toMatchObject({
      kind: 'FailedPrecondition',
    });
    const listing = client
      .list({ snapshotter, filters: ['kind==='] }, options)
      [Symbol.asyncIterator]()
      .next();
    await expect(listing).rejects.toMatchObject({ kind: 'Unknown' });
    await expect(client.cleanup({ snapshotter: 'zfs' }, options)).rejects.toMatchObject({
      kind: 'InvalidArgument',
    });
  });
});
