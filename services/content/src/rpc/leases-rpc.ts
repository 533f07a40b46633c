import { invalidArgument } from '@longshore/errors';
import { objectAdaptor, parseFilters } from '@longshore/filters';
import type { Call, Handlers } from '@longshore/kit';
import { withoutEmptyLabels } from '@longshore/oci';
import type { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Header } from '@longshore/proto/headers';
import type { CollectionScheduler } from '../domain/collection-scheduler.ts';
import { formatResource, parseResource, randomLeaseId } from '../domain/lease.ts';
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
      const all = await leases.list(call.scope);
      const matching = all.filter(({ id, labels }) => filter.matches(objectAdaptor({ id }, labels)));
      return { leases: matching.map(leaseToProto) };
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

/** Collects the caller's scope, waits, and tells the caller of the events of what was removed. */
export async function collectFor(call: Call, scheduler: CollectionScheduler): Promise<number> {
  const { removed, events } = await scheduler.run(call.scope);
  for (const event of events) call.reportEvent(event);
  // Also when it removed nothing: another collection may have done so a moment before.
  call.trailers.set(Header.Collected, String(removed));
  return removed;
}
