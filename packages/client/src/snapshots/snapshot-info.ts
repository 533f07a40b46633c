import type { Labels } from '@longshore/oci';
import { type Info, Kind } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { dateOf } from '../call-time.ts';

/** `active` can be written to, `view` only read; both have mounts. `committed` is what others stand on. */
export type SnapshotKind = 'active' | 'view' | 'committed' | 'unknown';

export interface SnapshotInfo {
  /** The key of an active one or a view, the name of a committed one. */
  name: string;
  /** Empty for none. */
  parent: string;
  kind: SnapshotKind;
  labels: Labels;
  createdAt: Date | undefined;
  updatedAt: Date | undefined;
}

const KINDS: Readonly<Record<number, SnapshotKind>> = {
  [Kind.ACTIVE]: 'active',
  [Kind.VIEW]: 'view',
  [Kind.COMMITTED]: 'committed',
};

export function snapshotInfoFromProto({ name, parent, kind, labels, ...times }: Info): SnapshotInfo {
  return {
    name,
    parent,
    kind: KINDS[kind] ?? 'unknown',
    labels,
    createdAt: dateOf(times.createdAt),
    updatedAt: dateOf(times.updatedAt),
  };
}
