import type { Handlers } from '@longshore/kit';
import type { CollectorService } from '@longshore/proto/longshore/content/v1/collector';
import type { CollectionScheduler } from '../domain/collection-scheduler.ts';
import { collectFor } from './leases-rpc.ts';

/** `longshore.content.v1.CollectorService`. */
export function collectorRpc(scheduler: CollectionScheduler): Handlers<typeof CollectorService> {
  return {
    async collect({ wait }, call) {
      if (wait) return { removed: BigInt(await collectFor(call, scheduler)) };
      scheduler.request(call.scope);
      return {};
    },
  };
}
