import type { Handlers } from '@longshore/kit';
import type { Container, Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import type { ContainerDeletion } from '../fleet/delete-container.ts';
import { labelled } from '../fleet/labels.ts';
import type { FleetLists } from '../fleet/lists.ts';
import { askerOf, told } from './asker.ts';
import { wholeList } from './whole-list.ts';

/** What the edge itself does of `containerd.services.containers.v1.Containers`; the rest is passed on. */
export function containersRpc(lists: FleetLists, deletion: ContainerDeletion): Handlers<typeof Containers> {
  return {
    async list({ filters }, call) {
      const all = await wholeList(told(lists.containers(askerOf(call), filters), call), bytesOf);
      return { containers: all.map(({ item, node }) => labelled(item, node)) };
    },

    async *listStream({ filters }, call) {
      for await (const { item, node } of told(lists.containers(askerOf(call), filters), call)) {
        yield { container: labelled(item, node) };
      }
    },

    async delete({ id }, call) {
      await deletion.delete(call.node, id, call.forward());
      return {};
    },
  };
}

function bytesOf({ spec }: Container): number {
  return spec?.value.length ?? 0;
}
