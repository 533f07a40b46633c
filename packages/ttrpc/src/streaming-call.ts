import { type DescMethod, fromBinary, type Message } from '@bufbuild/protobuf';
import {
  abortError,
  type CallOptions,
  type CallTarget,
  callSignal,
  encode,
  encodeRequest,
  payloadOf,
  type RequestInit,
  singleResponse,
} from './call.ts';
import type { TtrpcConnection } from './client-connection.ts';
import { Flag, type Frame } from './frame.ts';
import { MessageQueue } from './message-queue.ts';

const NO_PAYLOAD = new Uint8Array();

/** One request, many responses. Leaving the iteration early drops the rest. */
export function callServerStreaming(
  target: CallTarget,
  method: DescMethod,
  request: RequestInit,
  options: CallOptions = {},
): AsyncIterable<Message> {
  return responses(target, method, encode(method, request), Flag.RemoteClosed, options);
}

/** Many requests, one response. */
export function callClientStreaming(
  target: CallTarget,
  method: DescMethod,
  requests: AsyncIterable<RequestInit>,
  options: CallOptions = {},
): Promise<Message> {
  const failed = Promise.withResolvers<never>();
  const response = singleResponse(target, method, NO_PAYLOAD, Flag.RemoteOpen, options, (streamId) => {
    sendAll(target.connection, streamId, method, requests).catch((error) => {
      target.connection.forget(streamId);
      failed.reject(error);
    });
  });
  return Promise.race([response, failed.promise]);
}

/** Many requests, many responses, in any order. */
export function callBiDiStreaming(
  target: CallTarget,
  method: DescMethod,
  requests: AsyncIterable<RequestInit>,
  options: CallOptions = {},
): AsyncIterable<Message> {
  return responses(target, method, NO_PAYLOAD, Flag.RemoteOpen, options, requests);
}

async function* responses(
  { connection, serviceName }: CallTarget,
  method: DescMethod,
  payload: Uint8Array,
  flags: number,
  options: CallOptions,
  requests?: AsyncIterable<RequestInit>,
): AsyncGenerator<Message> {
  const signal = callSignal(options);
  if (signal?.aborted) throw abortError(signal);
  const queue = new MessageQueue<Uint8Array>(connection.pressure);
  const streamId = connection.open(encodeRequest(serviceName, method, payload, options), flags, {
    onData: (frame) => receive(queue, frame),
    onResponse: (response) => finish(queue, () => payloadOf(response)),
    onError: (error) => queue.end(error),
  });
  const abort = () => queue.end(abortError(signal!));
  signal?.addEventListener('abort', abort, { once: true });
  if (requests) {
    sendAll(connection, streamId, method, requests).catch((error: Error) => queue.end(error));
  }
  try {
    for await (const data of queue) yield fromBinary(method.output, data);
  } finally {
    signal?.removeEventListener('abort', abort);
    connection.forget(streamId);
  }
}

function receive(queue: MessageQueue<Uint8Array>, { data, flags }: Frame): void {
  if ((flags & Flag.NoData) === 0) queue.push(data);
  if ((flags & Flag.RemoteClosed) !== 0) queue.end();
}

/** A response ends the stream; its payload is a last message if it has one. */
function finish(queue: MessageQueue<Uint8Array>, payload: () => Uint8Array): void {
  try {
    const last = payload();
    if (last.length > 0) queue.push(last);
    queue.end();
  } catch (error) {
    queue.end(error as Error);
  }
}

async function sendAll(
  connection: TtrpcConnection,
  streamId: number,
  method: DescMethod,
  requests: AsyncIterable<RequestInit>,
): Promise<void> {
  for await (const request of requests) {
    await connection.sendData(streamId, encode(method, request), 0);
  }
  await connection.sendData(streamId, NO_PAYLOAD, Flag.RemoteClosed | Flag.NoData);
}
