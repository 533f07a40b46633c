import { setTimeout as delay } from 'node:timers/promises';
import {
  create,
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import {
  type ClientDuplexStream,
  type CallOptions as GrpcOptions,
  Metadata,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js';
import { fromGrpcStatus, isKind, messageOf, type RetryPolicy, retryDelayMs } from '@longshore/errors';
import { isRetrySafe, traceHeaders } from '@longshore/transport';
import type { Channel, Target } from './channel.ts';
import { nameServer, wasCut } from './name-server.ts';

/** Together no more than a second. */
const RECONNECT: RetryPolicy = { initialDelayMs: 100, maxDelayMs: 400, attempts: 4 };

/** How grpc-js tells of a call that it has not sent, or that a server which was ending has not begun. */
const NEVER_SENT = ['No connection established', 'Stream refused by server'];

/** Options of one call; all optional. */
export interface CallOptions {
  signal?: AbortSignal | undefined;
  deadline?: Date | undefined;
  headers?: Record<string, string> | undefined;
  /** Sees the headers of a stream, which come before its first message. */
  onHeaders?: ((headers: Metadata) => void) | undefined;
  /** Sees the trailers, of a call that failed too. */
  onTrailers?: ((trailers: Metadata) => void) | undefined;
}

type Method<M> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
      : M extends DescMethodBiDiStreaming<infer I, infer O>
        ? (
            requests: AsyncIterable<MessageInitShape<I>>,
            options?: CallOptions,
          ) => AsyncIterable<MessageShape<O>>
        : never;

/** A typed client: methods by their lower-camel-case names. Errors are those of `@longshore/errors`. */
export type ServiceClient<S extends DescService> = {
  readonly [M in keyof S['method']]: Method<S['method'][M]>;
};

/** What all calls of a client have in common, put to the options of one; e.g. headers of its scope. */
export type PrepareCall = (method: DescMethod, options: CallOptions) => CallOptions | Promise<CallOptions>;

export function createClient<S extends DescService>(
  service: S,
  channel: Channel,
  prepare: PrepareCall = (_, options) => options,
): ServiceClient<S> {
  const client: Record<string, unknown> = {};
  for (const method of service.methods) client[method.localName] = bind(method, channel, prepare);
  return client as ServiceClient<S>;
}

type Init = Record<string, unknown>;

function bind(method: DescMethod, channel: Channel, prepare: PrepareCall): unknown {
  const tell = () => channel.onCall(method.parent.typeName, method.name);
  switch (method.methodKind) {
    case 'unary':
      return async (request: Init, given: CallOptions = {}) => {
        tell();
        const prepared = prepare(method, given);
        const options = prepared instanceof Promise ? await prepared : prepared;
        try {
          return await untilConnected(() => unary(method, channel, request, options), options.signal);
        } catch (error) {
          throw nameServer(error, channel.server, options.signal);
        }
      };
    case 'server_streaming':
      return (request: Init, options: CallOptions = {}) => {
        tell();
        return serverStream(method, channel, request, () => prepare(method, options));
      };
    default:
      return (requests: AsyncIterable<Init>, options: CallOptions = {}) => {
        tell();
        return bidi(method, channel, requests, () => prepare(method, options));
      };
  }
}

/**
 * A channel that has lost its server waits before it connects again, and fails every call meanwhile without having sent
 * it: such a call is tried again for a moment, which bridges the restart of a service but no outage.
 */
async function untilConnected<T>(call: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (attempt === RECONNECT.attempts || !wasNeverSent(error) || signal?.aborted) throw error;
      await delay(retryDelayMs(RECONNECT, attempt));
    }
  }
}

/** Whether a call has failed without having reached its server, as this module's clients tell it. */
export function wasNeverSent(error: unknown): boolean {
  if (!(error instanceof Error) || !isKind(error, 'Unavailable')) return false;
  return NEVER_SENT.some((reason) => messageOf(error).startsWith(reason)) || wasNeverSent(error.cause);
}

/** At one replica, then at the others, as long as that changes nothing twice. */
async function unary(
  method: DescMethod,
  channel: Channel,
  request: Init,
  options: CallOptions,
): Promise<unknown> {
  if (channel.size === 1) return unaryTo(await channel.target(), method, request, options);
  const tried = new Set<Target>();
  for (;;) {
    const target = await channel.target(tried);
    try {
      return await unaryTo(target, method, request, options);
    } catch (error) {
      tried.add(target);
      const mayGoOn = wasNeverSent(error) || (wasLost(error) && isRetrySafe(pathOf(method)));
      if (!mayGoOn || tried.size === channel.size || options.signal?.aborted) throw error;
    }
  }
}

/** A server that cuts its connections cancels the calls in them. */
function wasLost(error: unknown): boolean {
  return isKind(error, 'Unavailable', 'Canceled') || wasCut(error);
}

function unaryTo(
  { client }: Target,
  method: DescMethod,
  request: Init,
  options: CallOptions,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const { path, encode, decode } = codec(method);
    const onEnd = (error: ServiceError | null, response?: unknown) => {
      unlink();
      if (error) reject(toError(error));
      else resolve(response);
    };
    const call = client.makeUnaryRequest(
      path,
      encode,
      decode,
      request,
      metadataOf(options),
      grpcOptions(options),
      onEnd,
    );
    if (options.onTrailers) call.on('status', (status) => options.onTrailers?.(status.metadata));
    const unlink = cancelOn(options.signal, call);
  });
}

async function reach(channel: Channel): Promise<Target> {
  try {
    return await channel.target();
  } catch (error) {
    throw nameServer(error, channel.server);
  }
}

async function* serverStream(
  method: DescMethod,
  channel: Channel,
  request: Init,
  prepare: () => CallOptions | Promise<CallOptions>,
) {
  const { path, encode, decode } = codec(method);
  const options = await prepare();
  const { client } = await reach(channel);
  const call = client.makeServerStreamRequest(
    path,
    encode,
    decode,
    request,
    metadataOf(options),
    grpcOptions(options),
  );
  yield* answers(call, options, channel.server);
}

async function* bidi(
  method: DescMethod,
  channel: Channel,
  requests: AsyncIterable<Init>,
  prepare: () => CallOptions | Promise<CallOptions>,
) {
  const { path, encode, decode } = codec(method);
  const options = await prepare();
  const { client } = await reach(channel);
  const call = client.makeBidiStreamRequest(path, encode, decode, metadataOf(options), grpcOptions(options));
  // A failed sender cancels the call, which ends the answers below; the sender's own error is the one to show.
  let failure: { error: unknown } | undefined;
  send(requests, call).catch((error) => {
    failure = { error };
    call.cancel();
  });
  try {
    yield* answers(call, options, channel.server);
  } catch (error) {
    throw failure ? failure.error : error;
  }
}

async function send(requests: AsyncIterable<Init>, call: ClientDuplexStream<Init, unknown>): Promise<void> {
  let over = false;
  call.once('close', () => {
    over = true;
  });
  for await (const request of requests) {
    if (over) return;
    if (!call.write(request)) await drainedOrClosed(call);
  }
  call.end();
}

function drainedOrClosed(call: ClientDuplexStream<Init, unknown>): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      call.off('drain', done).off('close', done);
      resolve();
    };
    call.on('drain', done).on('close', done);
  });
}

interface Answering extends AsyncIterable<unknown> {
  cancel(): void;
  on(event: 'metadata', listener: (headers: Metadata) => void): unknown;
  on(event: 'status', listener: (status: StatusObject) => void): unknown;
}

async function* answers(call: Answering, options: CallOptions, server: string) {
  const unlink = cancelOn(options.signal, call);
  if (options.onHeaders) call.on('metadata', options.onHeaders);
  if (options.onTrailers) call.on('status', (status) => options.onTrailers?.(status.metadata));
  try {
    yield* call;
  } catch (error) {
    throw nameServer(toError(error as ServiceError), server, options.signal);
  } finally {
    unlink();
    call.cancel();
  }
}

function codec(method: DescMethod) {
  return {
    path: pathOf(method),
    encode: (init: Init) => Buffer.from(toBinary(method.input, create(method.input, init))),
    decode: (bytes: Buffer) => fromBinary(method.output, bytes),
  };
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function metadataOf(options: CallOptions): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(options.headers ?? {})) metadata.set(name, value);
  for (const [name, value] of Object.entries(traceHeaders())) metadata.set(name, value);
  return metadata;
}

function grpcOptions(options: CallOptions): GrpcOptions {
  return options.deadline ? { deadline: options.deadline } : {};
}

function cancelOn(signal: AbortSignal | undefined, call: { cancel(): void }): () => void {
  if (!signal) return () => undefined;
  const cancel = () => call.cancel();
  if (signal.aborted) cancel();
  signal.addEventListener('abort', cancel, { once: true });
  return () => signal.removeEventListener('abort', cancel);
}

function toError(error: ServiceError): Error {
  return fromGrpcStatus({ code: error.code, message: error.details }, { cause: error });
}
