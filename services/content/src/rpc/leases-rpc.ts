import { invalidArgument } from '@longshore/errors';
import { objectAdaptor, parseFilters, selectFrom } from '@longshore/filters';
import { type Call, type Handlers, listPartOf } from '@longshore/kit';
import { withoutEmptyLabels } from '@longshore/oci';
import type { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Header } from '@longshore/proto/headers';
import type { CollectionScheduler } from '../domain/collection-scheduler.ts';
import { formatResource, type Lease, parseResource, randomLeaseId } from '../domain/lease.ts';
import type { LeaseRepository } from '../storage/postgres/lease-repository.ts';
import { leaseToProto } from './convert.ts';
import { namespaceRecord } from './records.ts';

/** `containerd.services.leases.v1.Leases`. Source: containerd plugins/services/leases, core/metadata/leases.go. */
export function leasesRpc(leases: LeaseRepository, scheduler: CollectionScheduler): Handlers<typeof Leases> {
  return {
    async create({ id, labels }, call) {
      const { scope } = call;
      const created = await leases.create(scope, id || randomLeaseId(), withoutEmptyLabels(labels));
      const { lease, namespaceRevision: revision } = created;
      if (revision !== undefined) call.reportRecord(namespaceRecord.stored({ scope, revision, labels: {} }));
      scheduler.mutated(scope);
      return { lease: leaseToProto(lease) };
    },

    async delete({ id, sync }, call) {
      await leases.delete(call.scope, id);
      if (sync) await collectFor(call, scheduler);
      else scheduler.request(call.scope);
      return {};
    },

    async list({ filters }, call) {
      const filter = parseFilters(filters);
      const part = listPartOf((name) => call.header(name));
      const pages = leases.pages(call.scope, filter, part);
      const adaptorOf = ({ id, labels }: Lease) => objectAdaptor({ id }, labels);
      const chosen = selectFrom(filter, pages, adaptorOf, part.limit);
      return { leases: (await Array.fromAsync(chosen)).map(leaseToProto) };
    },

    async addResource({ id, resource }, call) {
      if (!resource) throw invalidArgument('resource must be set');
      await leases.addResource(call.scope, id, parseResource(resource));
      return {};
    },

    async deleteResource({ id, resource }, call) {
      if (!resource) throw invalidArgument('resource must be set');
      await leases.deleteResource(call.scope, id, parseResource(resource));
      scheduler.request(call.scope);
      return {};
    },

    async listResources({ id }, call) {
      return { resources: (await leases.listResources(call.scope, id)).map(formatResource) };
    },
  };
}

/**
 * Node's HTTP/2 takes 128 headers, and breaks a call whose trailers have more. The others are in the outbox as all are, but are
 * not heard on the node's socket.
 */
const MAX_TOLD_EVENTS = 64;

/** Collects the caller's scope, waits, and tells the caller of the events of what was removed. */
export async function collectFor(
  call: Call,
  scheduler: CollectionScheduler,
  options: { force?: boolean } = {},
): Promise<number> {
  const { removed, events } = await scheduler.run(call.scope, options);
  for (const event of events.slice(0, MAX_TOLD_EVENTS)) call.reportEvent(event);
  // Also when it removed nothing: another collection may have done so a moment before.
  call.trailers.set(Header.Collected, String(removed));
  return removed;
}
