import type {
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import { type CallOptions, type CallTarget, callUnary, type RequestInit } from './call.ts';
import type { TtrpcConnection } from './client-connection.ts';
import { callBiDiStreaming, callClientStreaming, callServerStreaming } from './streaming-call.ts';

/** A function for each rpc of a service. */
export type TtrpcClient<S extends DescService> = {
  [K in keyof S['method']]: S['method'][K] extends DescMethodUnary<infer I, infer O>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : S['method'][K] extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
      : S['method'][K] extends DescMethodClientStreaming<infer I, infer O>
        ? (requests: AsyncIterable<MessageInitShape<I>>, options?: CallOptions) => Promise<MessageShape<O>>
        : S['method'][K] extends DescMethodBiDiStreaming<infer I, infer O>
          ? (
              requests: AsyncIterable<MessageInitShape<I>>,
              options?: CallOptions,
            ) => AsyncIterable<MessageShape<O>>
          : never;
};

export interface ClientOptions {
  /** The service's name on the wire, where a server has the same messages under another name. */
  serviceName?: string;
}

/**
 * Calls fail with a `LongshoreError` of the kind that the server's status names, `TtrpcClosedError` (`Unavailable`) when
 * the connection is lost (whether the server acted on the call is then unknown), `Canceled`, `DeadlineExceeded`, or
 * `ResourceExhausted` for a message over 4 MiB.
 */
export function createTtrpcClient<S extends DescService>(
  service: S,
  connection: TtrpcConnection,
  options: ClientOptions = {},
): TtrpcClient<S> {
  const target = { connection, serviceName: options.serviceName ?? service.typeName };
  const client: Record<string, unknown> = {};
  for (const method of service.methods) client[method.localName] = callerOf(target, method);
  return client as TtrpcClient<S>;
}

type Requests = AsyncIterable<RequestInit>;

function callerOf(target: CallTarget, method: DescMethod): unknown {
  switch (method.methodKind) {
    case 'unary':
      return (request: RequestInit, options?: CallOptions) => callUnary(target, method, request, options);
    case 'server_streaming':
      return (request: RequestInit, options?: CallOptions) =>
        callServerStreaming(target, method, request, options);
    case 'client_streaming':
      return (requests: Requests, options?: CallOptions) =>
        callClientStreaming(target, method, requests, options);
    case 'bidi_streaming':
      return (requests: Requests, options?: CallOptions) =>
        callBiDiStreaming(target, method, requests, options);
  }
}
