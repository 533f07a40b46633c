import { connect, type Socket } from 'node:net';
import { fromBinary } from '@bufbuild/protobuf';
import { messageOf, unavailable } from '@longshore/errors';
import { type Response, ResponseSchema } from '@longshore/proto/ttrpc/request';
import { type Frame, MessageType } from './frame.ts';
import { FramedSocket, oversizedError, TtrpcClosedError } from './framed-socket.ts';
import type { QueuePressure } from './message-queue.ts';

/** What one call does with the frames that answer it. After `onResponse` or `onError` it gets no more. */
export interface CallReceiver {
  onData(frame: Frame): void;
  onResponse(response: Response): void;
  onError(error: Error): void;
}

/** The client's end of a connection; any number of calls, of any services, share it. */
export class TtrpcConnection implements AsyncDisposable {
  /** Resolves once the connection is gone, whoever ended it; pending calls have failed by then. */
  readonly closed: Promise<void>;
  readonly pressure: QueuePressure;
  readonly #socket: FramedSocket;
  readonly #calls = new Map<number, CallReceiver>();
  #nextStreamId = 1;
  #isClosed = false;

  /** Takes over a connected socket. */
  constructor(socket: Socket) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#socket = new FramedSocket(socket, {
      onFrame: (frame) => this.#receive(frame),
      onOversized: ({ streamId }, sizeBytes) => this.#fail(streamId, oversizedError(sizeBytes)),
      onClose: (error) => {
        this.#isClosed = true;
        for (const streamId of [...this.#calls.keys()]) this.#fail(streamId, new TtrpcClosedError(error));
        resolve();
      },
    });
    this.pressure = this.#socket;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Sends a request frame on a new stream; `receiver` is registered unless this throws. */
  open(data: Uint8Array, flags: number, receiver: CallReceiver): number {
    const streamId = this.#nextStreamId;
    this.#socket.send({ streamId, type: MessageType.Request, flags, data });
    this.#nextStreamId += 2;
    this.#calls.set(streamId, receiver);
    return streamId;
  }

  /** Sends one message of an open stream, waiting while the peer does not take what was sent before. */
  async sendData(streamId: number, data: Uint8Array, flags: number): Promise<void> {
    this.#socket.send({ streamId, type: MessageType.Data, flags, data });
    await this.#socket.drained();
  }

  /** The caller has gone: later frames of the stream are dropped. ttrpc cannot tell the server. */
  forget(streamId: number): void {
    this.#calls.delete(streamId);
  }

  /** Ends the connection; pending calls fail with `Unavailable`. */
  async close(): Promise<void> {
    this.#socket.destroy();
    await this.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #receive(frame: Frame): void {
    const call = this.#calls.get(frame.streamId);
    if (!call) return;
    if (frame.type === MessageType.Data) call.onData(frame);
    if (frame.type !== MessageType.Response) return;
    this.#calls.delete(frame.streamId);
    try {
      call.onResponse(fromBinary(ResponseSchema, frame.data));
    } catch (error) {
      call.onError(unavailable(`ttrpc: unreadable response: ${messageOf(error)}`, { cause: error }));
    }
  }

  #fail(streamId: number, error: Error): void {
    const call = this.#calls.get(streamId);
    this.#calls.delete(streamId);
    call?.onError(error);
  }
}

export interface DialOptions {
  /** Aborts the dialling, not the connection made by it. */
  signal?: AbortSignal;
}

/**
 * Connects to a unix socket: a path, or a name beginning with NUL in the abstract space. Fails with `Unavailable`.
 */
export async function dialTtrpc(path: string, { signal }: DialOptions = {}): Promise<TtrpcConnection> {
  signal?.throwIfAborted();
  const socket = connect({ path });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = () => reject(signal?.reason);
  socket.once('connect', resolve);
  socket.once('error', reject);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    await promise;
    return new TtrpcConnection(socket);
  } catch (error) {
    socket.destroy();
    if (signal?.aborted) throw error;
    throw unavailable(`ttrpc: dial ${path.replace('\0', '@')}: ${messageOf(error)}`, { cause: error });
  } finally {
    socket.off('error', reject);
    signal?.removeEventListener('abort', abort);
  }
}
