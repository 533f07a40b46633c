import { invalidArgument } from '@longshore/errors';
import type { Call, Handlers } from '@longshore/kit';
import type { Snapshots as SnapshotsService } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Header } from '@longshore/proto/headers';
import type { NodeRecords } from '../records/node-records.ts';
import type { CatalogueCall, CatalogueClient } from '../snapshots/catalogue-call.ts';
import type { Housekeeping } from '../snapshots/housekeeping.ts';
import type { Snapshots } from '../snapshots/snapshots.ts';
import type { ToControlPlane } from '../socket/control-plane.ts';
import { parseListFilters } from '../socket/snapshot-reads.ts';
import { mountToProto } from './convert-mount.ts';
import { infoToProto } from './convert-snapshot.ts';

export interface SnapshotsRpcOptions {
  snapshots: Snapshots;
  catalogue: CatalogueClient;
  records: Pick<NodeRecords, 'takeFrom'>;
  housekeeping: Pick<Housekeeping, 'run'>;
  toControlPlane: ToControlPlane;
}

/**
 * `containerd.services.snapshots.v1.Snapshots` of the node socket.
 * Source: containerd plugins/services/snapshots/service.go.
 */
export function snapshotsRpc({
  snapshots,
  catalogue,
  records,
  housekeeping,
  toControlPlane,
}: SnapshotsRpcOptions): Handlers<typeof SnapshotsService> {
  /** Events that the catalogue tells of are told on, to whoever made this call; records are for this node's copy. */
  function catalogueCall(call: Call): CatalogueCall {
    const onTrailers: CatalogueCall['options']['onTrailers'] = (trailers) => {
      records.takeFrom(trailers);
      for (const event of trailers.get(Header.EventBin)) call.trailers.add(Header.EventBin, event);
    };
    return { namespace: call.namespace, options: { onTrailers, ...toControlPlane(call) } };
  }

  return {
    async prepare(request, call) {
      snapshots.snapshotter(request.snapshotter);
      const mounts = await snapshots.prepare({ ...request, kind: 'active' }, catalogueCall(call));
      return { mounts: mounts.map(mountToProto) };
    },

    async view(request, call) {
      snapshots.snapshotter(request.snapshotter);
      const mounts = await snapshots.prepare({ ...request, kind: 'view' }, catalogueCall(call));
      return { mounts: mounts.map(mountToProto) };
    },

    async mounts(request, call) {
      snapshots.snapshotter(request.snapshotter);
      return { mounts: (await snapshots.mounts(request, catalogueCall(call))).map(mountToProto) };
    },

    async commit(request, call) {
      snapshots.snapshotter(request.snapshotter);
      await snapshots.commit(request, catalogueCall(call));
      return {};
    },

    async remove(request, call) {
      snapshots.snapshotter(request.snapshotter);
      await snapshots.remove(request, catalogueCall(call));
      return {};
    },

    async stat({ snapshotter, key }, call) {
      snapshots.snapshotter(snapshotter);
      return { info: infoToProto(await snapshots.find({ snapshotter, key }, catalogueCall(call))) };
    },

    async update({ snapshotter, info, updateMask }, call) {
      snapshots.snapshotter(snapshotter);
      if (!info?.name) throw invalidArgument('snapshot name must be set');
      const key = { snapshotter, key: info.name };
      const updated = await snapshots.update(key, info.labels, updateMask?.paths ?? [], catalogueCall(call));
      return { info: infoToProto(updated) };
    },

    async *list({ snapshotter, filters }, call) {
      snapshots.snapshotter(snapshotter);
      parseListFilters(filters);
      const blocks = catalogue.list({ snapshotter, filters }, catalogueCall(call).options);
      for await (const block of blocks) yield { info: block.snapshots.map(infoToProto) };
    },

    async usage(request, call) {
      snapshots.snapshotter(request.snapshotter);
      const { sizeBytes, inodes } = await snapshots.usage(request, catalogueCall(call));
      return { size: sizeBytes, inodes };
    },

    async cleanup({ snapshotter }, call) {
      const { cleanUp } = snapshots.snapshotter(snapshotter);
      await housekeeping.run();
      await cleanUp?.(call.signal);
      return {};
    },
  };
}
