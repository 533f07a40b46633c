import { invalidArgument, LongshoreError, messageOf } from '@longshore/errors';
import { parseFilters } from '@longshore/filters';
import type { Call, Handlers } from '@longshore/kit';
import type { Snapshots as SnapshotsService } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Header } from '@longshore/proto/headers';
import type { CatalogueCall, CatalogueClient } from '../snapshots/catalogue-call.ts';
import type { Snapshots } from '../snapshots/snapshots.ts';
import type { ToControlPlane } from '../socket/control-plane.ts';
import { mountToProto } from './convert-mount.ts';
import { infoToProto } from './convert-snapshot.ts';

export interface SnapshotsRpcOptions {
  snapshots: Snapshots;
  catalogue: CatalogueClient;
  toControlPlane: ToControlPlane;
}

/**
 * `containerd.services.snapshots.v1.Snapshots` of the node socket; Cleanup is left out, nothing here needs it.
 * Source: containerd plugins/services/snapshots/service.go.
 */
export function snapshotsRpc({
  snapshots,
  catalogue,
  toControlPlane,
}: SnapshotsRpcOptions): Handlers<typeof SnapshotsService> {
  /** Events that the catalogue tells of are told on, to whoever made this call. */
  function catalogueCall(call: Call): CatalogueCall {
    const onTrailers: CatalogueCall['options']['onTrailers'] = (trailers) => {
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
      const { snapshot } = await catalogue.get({ snapshotter, key }, catalogueCall(call).options);
      return snapshot ? { info: infoToProto(snapshot) } : {};
    },

    async update({ snapshotter, info, updateMask }, call) {
      snapshots.snapshotter(snapshotter);
      if (!info?.name) throw invalidArgument('snapshot name must be set');
      const request = { snapshotter, key: info.name, labels: info.labels, ...(updateMask && { updateMask }) };
      const { snapshot } = await catalogue.update(request, catalogueCall(call).options);
      return snapshot ? { info: infoToProto(snapshot) } : {};
    },

    async *list({ snapshotter, filters }, call) {
      snapshots.snapshotter(snapshotter);
      checkFilters(filters);
      const blocks = catalogue.list({ snapshotter, filters }, catalogueCall(call).options);
      for await (const block of blocks) yield { info: block.snapshots.map(infoToProto) };
    },

    async usage(request, call) {
      snapshots.snapshotter(request.snapshotter);
      const { sizeBytes, inodes } = await snapshots.usage(request, catalogueCall(call));
      return { size: sizeBytes, inodes };
    },
  };
}

/** containerd answers a bad filter of this list, unlike those of others, with Unknown. */
function checkFilters(filters: readonly string[]): void {
  try {
    parseFilters(filters);
  } catch (error) {
    throw new LongshoreError('Unknown', messageOf(error), { cause: error });
  }
}
