import { invalidArgument } from '@longshore/errors';
import { parseFilters } from '@longshore/filters';
import type { Handlers } from '@longshore/kit';
import { parseIdentifier } from '@longshore/oci';
import { FLEET } from '@longshore/proto/headers';
import type { ContainerService } from '@longshore/proto/longshore/runtime/v1/containers';
import type { Collector } from '@longshore/rpc';
import type { Container } from '../domain/container.ts';
import { containerEvents } from '../events.ts';
import type { ContainerListing } from '../storage/postgres/container-listing.ts';
import type { ContainerRepository } from '../storage/postgres/container-repository.ts';
import { requireVersion } from './containers-rpc.ts';
import { listedContainerToProto } from './convert.ts';
import { containerRecord } from './records.ts';

/** Bounds what one answer takes in memory. */
const MAX_PAGE_ITEMS = 1000;

/** `longshore.runtime.v1.ContainerService`: what the fleet needs beyond containerd's API. */
export function containerFleetRpc(
  containers: ContainerRepository,
  listing: ContainerListing,
  collector: Collector,
): Handlers<typeof ContainerService> {
  return {
    async find({ id, filters }, call) {
      if (id === '' && filters.length > 0) {
        const nodes = await containers.nodesMatching(call.namespace, parseFilters(filters));
        return { nodes: nodes ?? [], anyNode: nodes === undefined };
      }
      return { nodes: await containers.nodesOf(call.namespace, parseIdentifier(id)) };
    },

    async listPage({ filters, node, limit, after }, call) {
      if (limit < 1 || limit > MAX_PAGE_ITEMS) throw invalidArgument(`limit must be 1 to ${MAX_PAGE_ITEMS}`);
      const { containers: listed, next } = await listing.page({
        namespace: call.namespace,
        node: node === '' ? undefined : parseScopeNode(node),
        filter: parseFilters(filters),
        limit,
        after,
      });
      return { containers: listed.map(listedContainerToProto), ...(next && { next }) };
    },

    async markDeleting({ id }, call) {
      const check = (stored: Container) => requireVersion(call, stored);
      const marked = await containers.markDeleting(call.scope, parseIdentifier(id), check);
      call.reportRecord(containerRecord.stored(marked));
      return {};
    },

    async confirmDeleting({ id }, call) {
      const deleted = await containers.deleteMarked(call.scope, parseIdentifier(id), containerEvents.deleted);
      call.reportEvent(containerEvents.deleted(deleted));
      call.reportRecord(containerRecord.deleted(deleted));
      collector.ask(call.scope);
      return {};
    },

    async releaseTask({ id }, call) {
      await containers.releaseTask(call.scope, parseIdentifier(id));
      collector.ask(call.scope);
      return {};
    },
  };
}

function parseScopeNode(node: string): string {
  return node === FLEET ? FLEET : parseIdentifier(node, 'node');
}
