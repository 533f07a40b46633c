import type { Handlers } from '@longshore/kit';
import type { Store } from '@longshore/proto/containerd/services/sandbox/v1/sandbox';
import { labelled } from '../fleet/labels.ts';
import type { FleetLists } from '../fleet/lists.ts';
import { askerOf, told } from './asker.ts';
import { wholeList } from './whole-list.ts';

/** What the edge itself does of `containerd.services.sandbox.v1.Store`. */
export function sandboxesRpc(lists: FleetLists): Handlers<typeof Store> {
  return {
    async list({ filters }, call) {
      const sandboxes = told(lists.sandboxes(askerOf(call), filters), call);
      const all = await wholeList(sandboxes, ({ spec }) => spec?.value.length ?? 0);
      return { list: all.map(({ item, node }) => labelled(item, node)) };
    },
  };
}
