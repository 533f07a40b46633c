import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { LongshoreError, messageOf } from '@longshore/errors';
import { type Filter, inBlocks, parseFilters, selectFrom } from '@longshore/filters';
import {
  ListSnapshotsRequestSchema,
  ListSnapshotsResponseSchema,
  MountsRequestSchema,
  MountsResponseSchema,
  StatSnapshotRequestSchema,
  StatSnapshotResponseSchema,
} from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import type { Snapshot } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { snapshotAdaptor } from '../records/filtered-kinds.ts';
import { mountToProto } from '../rpc/convert-mount.ts';
import { infoToProto } from '../rpc/convert-snapshot.ts';
import type { SnapshotRecords } from '../snapshots/snapshot-records.ts';
import type { Snapshots } from '../snapshots/snapshots.ts';
import { type LocalRead, type LocalReads, PASS_ON } from './local-read.ts';

/** Of infos in one message of a listing, as in containerd. */
const LIST_BLOCK = 100;

/** Reads of snapshots that need nothing but records. Usage needs the disk; it is the RPC's. */
export function snapshotReads(snapshots: Snapshots, records: SnapshotRecords): LocalReads {
  return new Map<string, LocalRead>([
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
      async (request, caller) => {
        const { snapshotter, key } = fromBinary(MountsRequestSchema, request);
        snapshots.snapshotter(snapshotter);
        const snapshot = records.get(caller.namespace, snapshotter, key);
        if (!snapshot) return PASS_ON;
        const mounts = await snapshots.mountsOf(snapshot);
        return [encode(MountsResponseSchema, { mounts: mounts.map(mountToProto) })];
      },
    ],
    [
      '/containerd.services.snapshots.v1.Snapshots/List',
      (request, caller) => {
        const { snapshotter, filters } = fromBinary(ListSnapshotsRequestSchema, request);
        snapshots.snapshotter(snapshotter);
        const filter = parseListFilters(filters);
        const { from, limit } = caller.listPart;
        const pages = records.select(caller.namespace, snapshotter, filter, from);
        return pages ? { messages: blocksOf(pages, filter, limit) } : PASS_ON;
      },
    ],
  ]);
}

/** containerd answers a bad filter of this list, unlike those of others, with Unknown. */
export function parseListFilters(filters: readonly string[]): Filter {
  try {
    return parseFilters(filters);
  } catch (error) {
    throw new LongshoreError('Unknown', messageOf(error), { cause: error });
  }
}

async function* blocksOf(
  pages: AsyncIterable<Snapshot[]>,
  filter: Filter,
  limit: number,
): AsyncGenerator<Uint8Array> {
  for await (const block of inBlocks(selectFrom(filter, pages, snapshotAdaptor, limit), LIST_BLOCK)) {
    yield encode(ListSnapshotsResponseSchema, { info: block.map(infoToProto) });
  }
}

function encode<S extends DescMessage>(schema: S, init: MessageInitShape<S>): Uint8Array {
  return toBinary(schema, create(schema, init));
}
