import { invalidArgument } from '@longshore/errors';
import { inBlocks, parseFilters, selectFrom } from '@longshore/filters';
import { type Call, type Handlers, isFleet } from '@longshore/kit';
import type { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Header } from '@longshore/proto/headers';
import { missing, requireSnapshotter, type Snapshot } from '../domain/snapshot.ts';
import type { SnapshotRepository } from '../storage/postgres/snapshot-repository.ts';
import { infoToProto } from './convert.ts';
import { snapshotAdaptor } from './filter.ts';

const SNAPSHOTS_PER_MESSAGE = 100;

/**
 * `containerd.services.snapshots.v1.Snapshots` at the fleet's edge: reads, of one node or, without a node header, of
 * all. What needs a directory is the agents'.
 */
export function snapshotsRpc(snapshots: SnapshotRepository): Handlers<typeof Snapshots> {
  async function find(call: Call, snapshotter: string, key: string): Promise<Snapshot> {
    const { scope } = call;
    if (!isFleet(scope)) return snapshots.get(scope, snapshotter, key);
    const [found, ...others] = await snapshots.find(scope.namespace, snapshotter, key);
    if (!found) throw missing(key);
    if (others.length === 0) return found;
    const nodes = [found, ...others].map((one) => one.scope.node).join(', ');
    throw invalidArgument(
      `snapshot ${JSON.stringify(key)} is on several nodes (${nodes}): header ${Header.Node} is required`,
    );
  }

  return {
    async stat({ snapshotter, key }, call) {
      requireSnapshotter(snapshotter);
      return { info: infoToProto(await find(call, snapshotter, key)) };
    },

    async *list({ snapshotter, filters }, call) {
      requireSnapshotter(snapshotter);
      const filter = parseFilters(filters);
      const chosen = selectFrom(filter, snapshots.pages(call.scope, snapshotter, filter), snapshotAdaptor);
      for await (const block of inBlocks(chosen, SNAPSHOTS_PER_MESSAGE))
        yield { info: block.map(infoToProto) };
    },
  };
}
