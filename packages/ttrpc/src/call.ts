import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type Message,
  type MessageInitShape,
  toBinary,
} from '@bufbuild/protobuf';
import { type ErrorKind, fromGrpcStatus, kindOf, LongshoreError } from '@longshore/errors';
import { RequestSchema, type Response } from '@longshore/proto/ttrpc/request';
import type { TtrpcConnection } from './client-connection.ts';
import { boundedTimeout } from './deadline.ts';
import { type MetadataInit, metadataToProto } from './metadata.ts';

export interface CallOptions {
  /** Gives the call up: it fails with `Canceled`, or `DeadlineExceeded` for a timed-out signal. */
  signal?: AbortSignal | undefined;
  /** The caller's deadline, told to the server as well. */
  timeoutMs?: number | undefined;
  metadata?: MetadataInit | undefined;
}

/** Where a call goes: a connection, and the name that the service has there. */
export interface CallTarget {
  connection: TtrpcConnection;
  serviceName: string;
}

export function encodeRequest(
  serviceName: string,
  method: DescMethod,
  payload: Uint8Array,
  options: CallOptions,
): Uint8Array {
  return toBinary(
    RequestSchema,
    create(RequestSchema, {
      service: serviceName,
      method: method.name,
      payload,
      timeoutNano: BigInt(Math.ceil(boundedTimeout(options.timeoutMs) ?? 0)) * 1_000_000n,
      metadata: metadataToProto(options.metadata),
    }),
  );
}

/** The payload of a response, or its error thrown. */
export function payloadOf(response: Response): Uint8Array {
  const { status, payload } = response;
  if (status && status.code !== 0) throw fromGrpcStatus(status);
  return payload;
}

/** One signal for whichever comes first, the caller's abort or its deadline. */
export function callSignal({ signal, timeoutMs }: CallOptions): AbortSignal | undefined {
  const leftMs = boundedTimeout(timeoutMs);
  if (leftMs === undefined) return signal;
  const deadline = AbortSignal.timeout(leftMs);
  return signal ? AbortSignal.any([signal, deadline]) : deadline;
}

/** In Go's words, since they reach containerd's clients. */
export function abortError(signal: AbortSignal): LongshoreError {
  const kind: ErrorKind = kindOf(signal.reason) === 'DeadlineExceeded' ? 'DeadlineExceeded' : 'Canceled';
  const message = kind === 'Canceled' ? 'context canceled' : 'context deadline exceeded';
  return new LongshoreError(kind, message, { cause: signal.reason });
}

/** Any message's init shape: `TtrpcClient` gives each method its own. */
export type RequestInit = MessageInitShape<DescMessage>;

/** One request, one response. */
export function callUnary(
  target: CallTarget,
  method: DescMethod,
  request: RequestInit,
  options: CallOptions = {},
): Promise<Message> {
  return singleResponse(target, method, encode(method, request), 0, options);
}

export function encode(method: DescMethod, request: RequestInit): Uint8Array {
  return toBinary(method.input, create(method.input, request));
}

/** Opens a stream that is answered by one response frame; `opened` is told its id. */
export async function singleResponse(
  { connection, serviceName }: CallTarget,
  method: DescMethod,
  payload: Uint8Array,
  flags: number,
  options: CallOptions,
  opened?: (streamId: number) => void,
): Promise<Message> {
  const signal = callSignal(options);
  if (signal?.aborted) throw abortError(signal);
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const streamId = connection.open(encodeRequest(serviceName, method, payload, options), flags, {
    // A peer that streams where one response is due is ignored until its response comes.
    onData: () => undefined,
    onResponse: resolve,
    onError: reject,
  });
  const abort = () => {
    connection.forget(streamId);
    reject(abortError(signal!));
  };
  signal?.addEventListener('abort', abort, { once: true });
  try {
    opened?.(streamId);
    return fromBinary(method.output, payloadOf(await promise));
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}
