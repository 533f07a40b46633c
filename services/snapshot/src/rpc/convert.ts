import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '@longshore/errors';
import {
  Kind as ContainerdKind,
  type InfoSchema,
} from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import {
  type CommitRequest,
  Kind,
  type PrepareRequest,
  type SnapshotSchema,
} from '@longshore/proto/longshore/snapshot/v1/catalogue';
import {
  type Commit,
  type MountableSnapshot,
  type NewSnapshot,
  NODE_LABEL,
  type Snapshot,
  type Kind as SnapshotKind,
} from '../domain/snapshot.ts';

const KINDS = { view: Kind.VIEW, active: Kind.ACTIVE, committed: Kind.COMMITTED } as const;
const CONTAINERD_KINDS = {
  view: ContainerdKind.VIEW,
  active: ContainerdKind.ACTIVE,
  committed: ContainerdKind.COMMITTED,
} as const;

export function snapshotToProto(
  snapshot: Snapshot | MountableSnapshot,
): MessageInitShape<typeof SnapshotSchema> {
  const { scope: _scope, kind, usage, createdAt, updatedAt, ...rest } = snapshot;
  return {
    ...rest,
    kind: KINDS[kind],
    createdAt: timestampFromDate(createdAt),
    updatedAt: timestampFromDate(updatedAt),
    size: usage.sizeBytes,
    inodes: usage.inodes,
    ancestorGenerations: 'ancestors' in snapshot ? snapshot.ancestors : [],
  };
}

/** As containerd's API has it, with the node as a label. */
export function infoToProto(snapshot: Snapshot): MessageInitShape<typeof InfoSchema> {
  const { name, parent, kind, labels, scope, createdAt, updatedAt } = snapshot;
  return {
    name,
    parent,
    kind: CONTAINERD_KINDS[kind],
    createdAt: timestampFromDate(createdAt),
    updatedAt: timestampFromDate(updatedAt),
    labels: { ...labels, [NODE_LABEL]: scope.node },
  };
}

export function newSnapshotFromProto(request: PrepareRequest): NewSnapshot {
  const { snapshotter, key, parent, labels, generation } = request;
  return { snapshotter, key, parent, labels, generation, kind: newKindFromProto(request.kind) };
}

export function commitFromProto(request: CommitRequest): Commit {
  const { snapshotter, name, key, parent, labels, size, inodes } = request;
  return { snapshotter, name, key, parent, labels, usage: { sizeBytes: size, inodes } };
}

function newKindFromProto(kind: Kind): SnapshotKind {
  if (kind === Kind.ACTIVE) return 'active';
  if (kind === Kind.VIEW) return 'view';
  if (kind === Kind.COMMITTED) return 'committed';
  throw invalidArgument(`snapshot type ${kind} invalid`);
}
