import { parseFilters } from '@longshore/filters';
import type { Handlers } from '@longshore/kit';
import { parseIdentifier } from '@longshore/oci';
import type { ContainerService } from '@longshore/proto/longshore/runtime/v1/containers';
import type { Collector } from '@longshore/rpc';
import { containerEvents } from '../events.ts';
import type { ContainerRepository } from '../storage/postgres/container-repository.ts';
import { containerRecord } from './records.ts';

/** `longshore.runtime.v1.ContainerService`: what the fleet needs beyond containerd's API. */
export function containerFleetRpc(
  containers: ContainerRepository,
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

    async markDeleting({ id }, call) {
      const marked = await containers.markDeleting(call.scope, parseIdentifier(id));
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
