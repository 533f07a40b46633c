import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  ListSnapshotsRequestSchema,
  ListSnapshotsResponseSchema,
} from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Kind, SnapshotSchema } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { RecordSchema } from '@longshore/proto/longshore/watch/v1/watch';
import { describe, expect, it } from 'vitest';
import { syncedCopy } from '../records/testing/copies.ts';
import { SnapshotRecords } from '../snapshots/snapshot-records.ts';
import type { Snapshots } from '../snapshots/snapshots.ts';
import { Caller } from './local-read.ts';
import { snapshotReads } from './snapshot-reads.ts';

type Init = MessageInitShape<typeof SnapshotSchema>;

const SNAPSHOTS: Init[] = [
  { name: 'base', kind: Kind.COMMITTED, labels: { 'a.b': 'c' } },
  { name: 'layer', kind: Kind.ACTIVE, parent: 'base' },
  { name: 'look', kind: Kind.VIEW, parent: 'base' },
  { name: 'look', kind: Kind.VIEW, parent: 'base', snapshotter: 'other' },
];

/** Names in the messages of a list, from a node's copy of the records. */
async function listed(snapshots: readonly Init[], filters: string[]): Promise<string[][]> {
  const copy = syncedCopy();
  copy.apply(
    snapshots.map((init, n) => {
      const snapshot = create(SnapshotSchema, { snapshotter: 'overlayfs', ...init });
      const key = `${snapshot.snapshotter}/${snapshot.name}`;
      const value = toBinary(SnapshotSchema, snapshot);
      return create(RecordSchema, {
        kind: 'snapshot',
        namespace: 'default',
        key,
        revision: BigInt(n + 1),
        value,
      });
    }),
  );
  const known = { snapshotter: () => undefined } as unknown as Snapshots;
  const reads = snapshotReads(known, new SnapshotRecords(copy));
  const list = reads.get('/containerd.services.snapshots.v1.Snapshots/List')!;
  const request = create(ListSnapshotsRequestSchema, { snapshotter: 'overlayfs', filters });
  const outcome = await list(
    toBinary(ListSnapshotsRequestSchema, request),
    new Caller({ 'containerd-namespace': 'default' }),
  );
  if (!('messages' in outcome)) throw new Error('not answered from the copy');
  const messages = await Array.fromAsync(outcome.messages);
  return messages.map((message) =>
    fromBinary(ListSnapshotsResponseSchema, message as Uint8Array).info.map(({ name }) => name),
  );
}

describe('lists of snapshots', () => {
  it.each([
    ['kind==committed', ['base']],
    ['kind==active', ['layer']],
    ['kind==view', ['look']],
    ['name~=^l', ['layer', 'look']],
    ['name==look', ['look']],
    ['name==look,kind==active', []],
    ['parent==base', ['layer', 'look']],
    ['parent==""', ['base']],
    ['parent', ['base', 'layer', 'look']],
    ['labels.a.b==c', ['base']],
    ['labels."a.b"', ['base']],
    ['created', []],
  ])('are filtered: %s', async (filter, names) => {
    expect((await listed(SNAPSHOTS, [filter])).flat()).toEqual(names);
  });

  it('have what any of their filters chooses', async () => {
    expect((await listed(SNAPSHOTS, ['name==look', 'labels.a.b==c', 'parent==none'])).flat()).toEqual([
      'base',
      'look',
    ]);
  });

  it('come in blocks of at most 100', async () => {
    const many = Array.from({ length: 250 }, (_, n) => ({ name: `s${n}` }));
    expect((await listed(many, [])).map(({ length }) => length)).toEqual([100, 100, 50]);
  });
});
