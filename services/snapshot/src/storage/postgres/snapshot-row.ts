import type { Scope } from '@longshore/kit';
import type { Labels } from '@longshore/oci';
import type { RecordTable } from '@longshore/postgres';
import type { Kind, MountableSnapshot, NewSnapshot, Snapshot } from '../../domain/snapshot.ts';

export interface Row {
  uid: string;
  namespace: string;
  node: string;
  snapshotter: string;
  name: string;
  revision: bigint;
  kind: Kind;
  parent: string;
  generation: string;
  labels: Labels;
  size_bytes: bigint;
  inodes: bigint;
  created_at: Date;
  updated_at: Date;
}

export interface MountableRow extends Row {
  ancestors: string[];
}

export const COLUMNS = `uid, namespace, node, snapshotter, name, revision, kind, parent, generation, labels,
  size_bytes, inodes, created_at, updated_at`;

/** {@link COLUMNS}, and the generations of the ancestors, nearest first. */
export const MOUNTABLE_COLUMNS = `${COLUMNS}, ancestors_of(parent_uid) AS ancestors`;

export function fromRow(row: Row): Snapshot {
  return {
    uid: row.uid,
    scope: { namespace: row.namespace, node: row.node },
    snapshotter: row.snapshotter,
    name: row.name,
    parent: row.parent,
    kind: row.kind,
    labels: row.labels,
    generation: row.generation,
    usage: { sizeBytes: row.size_bytes, inodes: row.inodes },
    revision: row.revision,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

export function fromMountableRow(row: MountableRow): MountableSnapshot {
  return { ...fromRow(row), ancestors: row.ancestors };
}

/** What the database says of a snapshot that it was asked to make. */
export type PreparedRow = Pick<MountableRow, 'uid' | 'revision' | 'created_at' | 'updated_at' | 'ancestors'>;

export function preparedFrom(
  scope: Scope,
  { snapshotter, key, parent, kind, labels, generation }: NewSnapshot,
  { uid, revision, created_at, updated_at, ancestors }: PreparedRow,
): MountableSnapshot {
  return {
    uid,
    scope,
    snapshotter,
    name: key,
    parent,
    kind,
    labels,
    generation,
    usage: { sizeBytes: 0n, inodes: 0n },
    revision,
    createdAt: created_at,
    updatedAt: updated_at,
    ancestors,
  };
}

/** For the watch. */
export const snapshotTable: RecordTable<Row, Snapshot> = {
  columns: COLUMNS,
  from: 'snapshots',
  alias: 'snapshots',
  itemOf: fromRow,
};
