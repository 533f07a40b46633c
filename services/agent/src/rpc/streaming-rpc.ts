import type { Handlers } from '@longshore/kit';
import type { Streaming } from '@longshore/proto/containerd/services/streaming/v1/streaming';
import type { StreamTable } from '../transfer/stream-table.ts';

/**
 * `containerd.services.streaming.v1.Streaming` of the node socket. `stopping` ends streams that nobody closes.
 * Source: containerd plugins/services/streaming/service.go.
 */
export function streamingRpc(streams: StreamTable, stopping: AbortSignal): Handlers<typeof Streaming> {
  return {
    stream: (requests, call) =>
      streams.serve(call.namespace, requests, AbortSignal.any([call.signal, stopping])),
  };
}
