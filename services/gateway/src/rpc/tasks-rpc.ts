import type { Handlers } from '@longshore/kit';
import type { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import type { FleetLists } from '../fleet/lists.ts';
import { askerOf, told } from './asker.ts';
import { wholeList } from './whole-list.ts';

/** What the edge itself does of `containerd.services.tasks.v1.Tasks`. Tasks have no labels: nothing names their node. */
export function tasksRpc(lists: FleetLists): Handlers<typeof Tasks> {
  return {
    async list({ filter }, call) {
      const all = await wholeList(told(lists.tasks(askerOf(call), filter), call), () => 0);
      return { tasks: all.map(({ item }) => item) };
    },

    async metrics({ filters }, call) {
      const metrics = told(lists.metrics(askerOf(call), filters), call);
      const all = await wholeList(metrics, ({ data }) => data?.value.length ?? 0);
      return { metrics: all.map(({ item }) => item) };
    },
  };
}
