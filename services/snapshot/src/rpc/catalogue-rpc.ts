import { invalidArgument } from '@longshore/errors';
import { inBlocks, parseFilters, selectFrom } from '@longshore/filters';
import { type Call, type Handlers, isFleet, type Scope } from '@longshore/kit';
import type { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { FLEET, Header } from '@longshore/proto/headers';
import type { CatalogueService } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { type CallLease, type Collector, leaseOf, type ServiceClient } from '@longshore/rpc';
import type { Catalogue } from '../domain/catalogue.ts';
import { requireSnapshotter } from '../domain/snapshot.ts';
import { snapshotEvents } from '../events.ts';
import type { SnapshotRepository } from '../storage/postgres/snapshot-repository.ts';
import type { TombstoneRepository } from '../storage/postgres/tombstone-repository.ts';
import { blocksOf } from './blocks.ts';
import { commitFromProto, newSnapshotFromProto, snapshotToProto } from './convert.ts';
import { snapshotAdaptor } from './filter.ts';
import { snapshotRecord } from './records.ts';

/** As containerd cuts its lists. */
const SNAPSHOTS_PER_MESSAGE = 100;
/** Some 20 bytes each. */
const GENERATIONS_PER_MESSAGE = 5_000;
const DEFAULT_TOMBSTONE_LIMIT = 1_000;

export interface CatalogueRpcOptions {
  catalogue: Catalogue;
  snapshots: SnapshotRepository;
  tombstones: TombstoneRepository;
  leases: ServiceClient<typeof Leases>;
  collector: Collector;
}

/** `longshore.snapshot.v1.CatalogueService`. Always for one node: the fleet's own scope has no snapshots. */
export function catalogueRpc(options: CatalogueRpcOptions): Handlers<typeof CatalogueService> {
  const { catalogue, snapshots, tombstones, leases, collector } = options;

  function leaseFor(call: Call, snapshotter: string): CallLease | undefined {
    return leaseOf(call, leases, `snapshots/${snapshotter}`);
  }

  return {
    async prepare(request, call) {
      const scope = scopeOf(call, request);
      const lease = leaseFor(call, request.snapshotter);
      const prepared = await catalogue.prepare(scope, newSnapshotFromProto(request), lease);
      const event = snapshotEvents.prepared(prepared);
      if (event) call.reportEvent(event);
      call.reportRecord(snapshotRecord.stored(prepared));
      return { snapshot: snapshotToProto(prepared) };
    },

    async commit(request, call) {
      const scope = scopeOf(call, request);
      const lease = leaseFor(call, request.snapshotter);
      const { snapshot, keyRevision } = await catalogue.commit(scope, commitFromProto(request), lease);
      const { snapshotter, key: name } = request;
      call.reportEvent(snapshotEvents.committed(snapshot, name));
      call.reportRecord(snapshotRecord.deleted({ scope, snapshotter, name, revision: keyRevision }));
      call.reportRecord(snapshotRecord.stored(snapshot));
      return { snapshot: snapshotToProto(snapshot) };
    },

    async remove(request, call) {
      const scope = scopeOf(call, request);
      const { snapshotter, key } = request;
      const removed = await catalogue.remove(scope, snapshotter, key, leaseFor(call, snapshotter));
      call.reportEvent(snapshotEvents.removed(removed));
      call.reportRecord(snapshotRecord.deleted(removed));
      collector.ask(scope);
      return { snapshot: snapshotToProto(removed) };
    },

    async get(request, call) {
      const scope = scopeOf(call, request);
      return { snapshot: snapshotToProto(await snapshots.get(scope, request.snapshotter, request.key)) };
    },

    async update(request, call) {
      const scope = scopeOf(call, request);
      const { snapshotter, key, labels, updateMask } = request;
      const updated = await catalogue.update(scope, snapshotter, key, labels, updateMask?.paths ?? []);
      call.reportRecord(snapshotRecord.stored(updated));
      // A label may have been what kept something else.
      collector.ask(scope);
      return { snapshot: snapshotToProto(updated) };
    },

    async *list(request, call) {
      const scope = scopeOf(call, request);
      const filter = parseFilters(request.filters);
      const pages = snapshots.pages(scope, request.snapshotter, filter);
      const chosen = selectFrom(filter, pages, snapshotAdaptor);
      for await (const block of inBlocks(chosen, SNAPSHOTS_PER_MESSAGE))
        yield { snapshots: block.map(snapshotToProto) };
    },

    async listTombstones({ limit }, call) {
      const listed = await tombstones.list(nodeOf(call), limit > 0 ? limit : DEFAULT_TOMBSTONE_LIMIT);
      return { tombstones: listed };
    },

    async confirmTombstones({ generations }, call) {
      await tombstones.confirm(nodeOf(call), generations);
      return {};
    },

    async *listGenerations({ snapshotter }, call) {
      const all = await tombstones.generations(nodeOf(call), requireSnapshotter(snapshotter));
      for (const block of blocksOf(all, GENERATIONS_PER_MESSAGE)) yield { generations: block };
    },
  };
}

function scopeOf(call: Call, { snapshotter }: { snapshotter: string }): Scope {
  requireSnapshotter(snapshotter);
  const { scope } = call;
  if (isFleet(scope)) throw nodeRequired();
  return scope;
}

/** For calls that are about a node's disk, whatever the namespace. */
function nodeOf(call: Call): string {
  if (call.node === FLEET) throw nodeRequired();
  return call.node;
}

function nodeRequired(): Error {
  return invalidArgument(`header ${Header.Node} is required`);
}
