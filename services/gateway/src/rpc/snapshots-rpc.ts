import type { Handlers } from '@longshore/kit';
import type { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { labelled } from '../fleet/labels.ts';
import type { FleetLists } from '../fleet/lists.ts';
import { askerOf, told } from './asker.ts';

/** What the edge itself does of `containerd.services.snapshots.v1.Snapshots`. */
export function snapshotsRpc(lists: FleetLists): Handlers<typeof Snapshots> {
  return {
    async *list({ snapshotter, filters }, call) {
      const snapshots = lists.snapshots(askerOf(call), snapshotter, filters);
      for await (const { item, node } of told(snapshots, call)) yield { info: [labelled(item, node)] };
    },
  };
}
