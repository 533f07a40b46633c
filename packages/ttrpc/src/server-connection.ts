import type { Socket } from 'node:net';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { invalidArgument, LongshoreError, messageOf, toGrpcStatus } from '@longshore/errors';
import { type Request, RequestSchema, ResponseSchema } from '@longshore/proto/ttrpc/request';
import { boundedTimeout } from './deadline.ts';
import { Flag, type Frame, MessageType } from './frame.ts';
import { FramedSocket, oversizedError, TtrpcClosedError } from './framed-socket.ts';
import { MessageQueue } from './message-queue.ts';
import { metadataFromProto } from './metadata.ts';
import type { MethodHandler, MethodHandlers } from './method-handler.ts';
import type { HandlerContext } from './service.ts';

const NO_PAYLOAD = new Uint8Array();

export type ServiceHandlers = ReadonlyMap<string, MethodHandlers>;

/** The server's end of one connection. Source for the stream rules: containerd/ttrpc server.go. */
export class ServerConnection {
  readonly #services: ServiceHandlers;
  readonly #socket: FramedSocket;
  readonly #gone = new AbortController();
  /** Streams whose client may still send, and all calls that are not answered yet. */
  readonly #inbound = new Map<number, MessageQueue<Uint8Array>>();
  readonly #active = new Set<number>();
  #lastStreamId = 0;
  #finishing = false;

  constructor(socket: Socket, services: ServiceHandlers) {
    this.#services = services;
    this.#socket = new FramedSocket(socket, {
      onFrame: (frame) => this.#receive(frame),
      onOversized: ({ streamId }, sizeBytes) => this.#refuse(streamId, oversizedError(sizeBytes)),
      onClose: (error) => this.#close(error),
    });
  }

  /** Closes once the calls under way are answered. */
  finish(): void {
    this.#finishing = true;
    if (this.#active.size === 0) this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #close(error?: Error): void {
    const closed = new TtrpcClosedError(error);
    this.#gone.abort(closed);
    for (const queue of this.#inbound.values()) queue.end(closed);
  }

  #receive(frame: Frame): void {
    try {
      if (frame.type === MessageType.Request) this.#receiveRequest(frame);
      if (frame.type === MessageType.Data) this.#receiveData(frame);
    } catch (error) {
      this.#refuse(frame.streamId, error);
    }
  }

  #receiveRequest({ streamId, flags, data }: Frame): void {
    if (streamId % 2 !== 1) throw invalidArgument(`ttrpc: stream id ${streamId} is even`);
    if (streamId <= this.#lastStreamId)
      throw invalidArgument(`ttrpc: stream id ${streamId} does not increase`);
    this.#lastStreamId = streamId;
    const request = decodeRequest(data);
    const handler = this.#handlerOf(request);
    this.#active.add(streamId);
    void this.#serve(streamId, handler, request, this.#open(streamId, flags, handler, request));
  }

  #handlerOf({ service, method }: Request): MethodHandler {
    const methods = this.#services.get(service);
    if (!methods) throw new LongshoreError('Unimplemented', `service ${service}`);
    const handler = methods.get(method);
    if (!handler) throw new LongshoreError('Unimplemented', `method ${method}`);
    return handler;
  }

  /** The request messages of a call. A client stream's first one may come with the request itself. */
  #open(streamId: number, flags: number, handler: MethodHandler, request: Request): MessageQueue<Uint8Array> {
    const queue = new MessageQueue<Uint8Array>(this.#socket);
    if (!handler.clientStreams || request.payload.length > 0) queue.push(request.payload);
    if (handler.clientStreams && (flags & Flag.RemoteOpen) !== 0) this.#inbound.set(streamId, queue);
    else queue.end();
    return queue;
  }

  #receiveData({ streamId, flags, data }: Frame): void {
    const queue = this.#inbound.get(streamId);
    if (!queue) throw invalidArgument(`ttrpc: stream id ${streamId} is not active`);
    if ((flags & Flag.NoData) === 0) queue.push(data);
    if ((flags & Flag.RemoteClosed) === 0) return;
    queue.end();
    this.#inbound.delete(streamId);
  }

  async #serve(
    streamId: number,
    handler: MethodHandler,
    request: Request,
    queue: MessageQueue<Uint8Array>,
  ): Promise<void> {
    try {
      const responses = handler.run(queue, this.#contextOf(request));
      for await (const payload of responses) {
        if (handler.serverStreams) await this.#sendMessage(streamId, payload);
        else this.#respond(streamId, payload);
      }
      if (handler.serverStreams) this.#sendEnd(streamId);
    } catch (error) {
      this.#refuse(streamId, error);
    } finally {
      queue.discard();
      this.#inbound.delete(streamId);
      this.#active.delete(streamId);
      if (this.#finishing) this.finish();
    }
  }

  /** Its parts are made when they are asked for: most handlers answer at once and need neither. */
  #contextOf(request: Request): HandlerContext {
    const makeSignal = () => this.#signalFor(request);
    let signal: AbortSignal | undefined;
    return {
      get signal() {
        signal ??= makeSignal();
        return signal;
      },
      get metadata() {
        return metadataFromProto(request.metadata);
      },
    };
  }

  #signalFor(request: Request): AbortSignal {
    const timeoutMs = boundedTimeout(Math.ceil(Number(request.timeoutNano) / 1e6));
    if (request.timeoutNano <= 0n || timeoutMs === undefined) return this.#gone.signal;
    return AbortSignal.any([this.#gone.signal, AbortSignal.timeout(timeoutMs)]);
  }

  async #sendMessage(streamId: number, data: Uint8Array): Promise<void> {
    this.#socket.send({ streamId, type: MessageType.Data, flags: 0, data });
    await this.#socket.drained();
  }

  #sendEnd(streamId: number): void {
    const flags = Flag.RemoteClosed | Flag.NoData;
    this.#socket.send({ streamId, type: MessageType.Data, flags, data: NO_PAYLOAD });
  }

  #respond(streamId: number, payload: Uint8Array): void {
    const data = toBinary(ResponseSchema, create(ResponseSchema, { payload }));
    this.#socket.send({ streamId, type: MessageType.Response, flags: 0, data });
  }

  /** On a connection that is gone there is nobody to tell. */
  #refuse(streamId: number, error: unknown): void {
    if (this.#gone.signal.aborted) return;
    const data = toBinary(ResponseSchema, create(ResponseSchema, { status: toGrpcStatus(error) }));
    try {
      this.#socket.send({ streamId, type: MessageType.Response, flags: 0, data });
    } catch {
      // The socket has ended and its close is about to be reported.
      this.#socket.destroy();
    }
  }
}

function decodeRequest(data: Uint8Array): Request {
  try {
    return fromBinary(RequestSchema, data);
  } catch (error) {
    throw invalidArgument(`ttrpc: unreadable request: ${messageOf(error)}`, { cause: error });
  }
}
