import type { MessageInitShape } from '@bufbuild/protobuf';
import type { WatchResponseSchema, WatchService } from '@longshore/proto/longshore/watch/v1/watch';
import type { Handlers } from './handlers.ts';

/** What a service tells of the records of nodes. */
export interface WatchedRecords {
  watch(
    node: string,
    position: string,
    signal: AbortSignal,
  ): AsyncIterable<MessageInitShape<typeof WatchResponseSchema>>;
}

/** `longshore.watch.v1.WatchService` over a service's own records. */
export function watchRpc(records: WatchedRecords, stopping: AbortSignal): Handlers<typeof WatchService> {
  return {
    watch({ position }, call) {
      return records.watch(call.node, position, AbortSignal.any([call.signal, stopping]));
    },
  };
}
