import type { WatchService } from '@longshore/proto/longshore/watch/v1/watch';
import type { Handlers } from './handlers.ts';

/** Where a service hears of changes to its records. */
export interface ChangeSource {
  watch(node: string, signal: AbortSignal): AsyncIterable<string>;
}

/** `longshore.watch.v1.WatchService` over a service's own changes. */
export function watchRpc(changes: ChangeSource, stopping: AbortSignal): Handlers<typeof WatchService> {
  return {
    async *watch(_request, call) {
      const signal = AbortSignal.any([call.signal, stopping]);
      for await (const namespace of changes.watch(call.node, signal)) yield { namespace };
    },
  };
}
