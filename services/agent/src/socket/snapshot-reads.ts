import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { LongshoreError, messageOf } from '@longshore/errors';
import { ABSENT, type Adaptor, mapField, parseFilters } from '@longshore/filters';
import { WHOLE_LIST } from '@longshore/kit';
import {
  type InfoSchema,
  ListSnapshotsRequestSchema,
  ListSnapshotsResponseSchema,
  MountsRequestSchema,
  MountsResponseSchema,
  StatSnapshotRequestSchema,
  StatSnapshotResponseSchema,
} from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Kind, type Snapshot } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { mountToProto } from '../rpc/convert-mount.ts';
import { infoToProto } from '../rpc/convert-snapshot.ts';
import type { SnapshotRecords } from '../snapshots/snapshot-records.ts';
import type { Snapshots } from '../snapshots/snapshots.ts';
import { type LocalReads, PASS_ON } from './local-read.ts';

/** Of infos in one message of a listing, as in containerd. */
const LIST_BLOCK = 100;

const KIND_NAMES: Readonly<Record<Kind, string>> = {
  [Kind.UNSPECIFIED]: 'unknown',
  [Kind.VIEW]: 'view',
  [Kind.ACTIVE]: 'active',
  [Kind.COMMITTED]: 'committed',
};

/** Reads of snapshots that need nothing but records. Usage needs the disk; it is the RPC's. */
export function snapshotReads(snapshots: Snapshots, records: SnapshotRecords): LocalReads {
  return new Map([
    [
      '/containerd.services.snapshots.v1.Snapshots/Stat',
      (request, caller) => {
        const { snapshotter, key } = fromBinary(StatSnapshotRequestSchema, request);
        snapshots.snapshotter(snapshotter);
        const snapshot = records.get(caller.namespace, snapshotter, key);
        return snapshot ? [encode(StatSnapshotResponseSchema, { info: infoToProto(snapshot) })] : PASS_ON;
      },
    ],
    [
      '/containerd.services.snapshots.v1.Snapshots/Mounts',
      (request, caller) => {
        const { snapshotter, key } = fromBinary(MountsRequestSchema, request);
        snapshots.snapshotter(snapshotter);
        const snapshot = records.get(caller.namespace, snapshotter, key);
        if (!snapshot) return PASS_ON;
        return [encode(MountsResponseSchema, { mounts: snapshots.mountsOf(snapshot).map(mountToProto) })];
      },
    ],
    [
      '/containerd.services.snapshots.v1.Snapshots/List',
      (request, caller) => {
        const { snapshotter, filters } = fromBinary(ListSnapshotsRequestSchema, request);
        snapshots.snapshotter(snapshotter);
        parseListFilters(filters);
        const { from, limit } = caller.listPart;
        const isFiltered = filters.length > 0;
        const part = { from, limit: isFiltered ? WHOLE_LIST.limit : limit };
        const some = records.list(caller.namespace, snapshotter, part);
        if (!some) return PASS_ON;
        return chosenInfos(some, filters, limit).map((block) => encode(ListSnapshotsResponseSchema, block));
      },
    ],
  ]);
}

/** containerd answers a bad filter of this list, unlike those of others, with Unknown. */
export function parseListFilters(filters: readonly string[]) {
  try {
    return parseFilters(filters);
  } catch (error) {
    throw new LongshoreError('Unknown', messageOf(error), { cause: error });
  }
}

/** An empty parent counts as present, so that `parent==""` finds base layers. Source: core/metadata/adaptors.go. */
function adaptorOf({ kind, name, parent, labels }: Snapshot): Adaptor {
  const fields: Record<string, string> = { kind: KIND_NAMES[kind], name, parent };
  return ([field = '', ...rest]) => {
    if (field === 'labels') return mapField(labels, rest);
    return Object.hasOwn(fields, field) ? { value: fields[field] ?? '', present: true } : ABSENT;
  };
}

/** One message of a listing. */
export interface SnapshotBlock {
  info: MessageInitShape<typeof InfoSchema>[];
}

/** The messages of a listing. Throws as {@link parseListFilters} does. */
export function chosenInfos(
  snapshots: readonly Snapshot[],
  filters: readonly string[],
  limit = WHOLE_LIST.limit,
): SnapshotBlock[] {
  const filter = parseListFilters(filters);
  const chosen = snapshots.filter((snapshot) => filter.matches(adaptorOf(snapshot))).slice(0, limit);
  const blocks: SnapshotBlock[] = [];
  for (let at = 0; at < chosen.length; at += LIST_BLOCK) {
    blocks.push({ info: chosen.slice(at, at + LIST_BLOCK).map(infoToProto) });
  }
  return blocks;
}

function encode<S extends DescMessage>(schema: S, init: MessageInitShape<S>): Uint8Array {
  return toBinary(schema, create(schema, init));
}
