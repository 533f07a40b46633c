import type { Handlers } from '@longshore/kit';
import type { LayerService } from '@longshore/proto/longshore/node/v1/layers';
import type { Reconciliation } from '../snapshots/reconciliation.ts';

/** `longshore.node.v1.LayerService` of the node socket. */
export function layersRpc(reconciliation: Pick<Reconciliation, 'run'>): Handlers<typeof LayerService> {
  return {
    async reconcile() {
      const { waiting, unknown, quarantined, missing } = await reconciliation.run();
      return {
        waiting: waiting.map(({ reason, ...layer }) => ({ layer, reason })),
        unknown: [...unknown],
        quarantined: [...quarantined],
        missing: [...missing],
      };
    },
  };
}
