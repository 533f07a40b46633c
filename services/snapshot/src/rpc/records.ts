import { deletedRecord, type NodeRecord, type Scope, storedRecord } from '@longshore/kit';
import { type RecordSource, recordSource } from '@longshore/postgres';
import { SnapshotSchema } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import type { Snapshot } from '../domain/snapshot.ts';
import { snapshotTable } from '../storage/postgres/snapshot-row.ts';
import { snapshotToProto } from './convert.ts';

/** Where a snapshot was, and the revision of its removal or renaming. */
interface Gone {
  readonly scope: Scope;
  readonly snapshotter: string;
  readonly name: string;
  readonly revision: bigint;
}

/** What nodes keep copies of: snapshots without their ancestors, which the copy finds by their parents. */
export const snapshotRecord = {
  stored: (snapshot: Snapshot): NodeRecord =>
    storedRecord('snapshot', snapshot, keyOf(snapshot), SnapshotSchema, {
      ...snapshotToProto(snapshot),
      ancestorGenerations: [],
    }),
  deleted: (gone: Gone): NodeRecord => deletedRecord('snapshot', gone, keyOf(gone)),
};

export const snapshotSources: readonly RecordSource[] = [recordSource(snapshotTable, snapshotRecord.stored)];

function keyOf({ snapshotter, name }: { snapshotter: string; name: string }): string {
  return `${snapshotter}/${name}`;
}
