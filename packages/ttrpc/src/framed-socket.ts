import { once } from 'node:events';
import type { Socket } from 'node:net';
import { LongshoreError } from '@longshore/errors';
import { encodeFrame, type Frame, FrameReader, type FrameSink, MAX_DATA_BYTES } from './frame.ts';

/** The connection is gone, in the words of Go's `ttrpc.ErrClosed`. Whether the peer acted on a call is not known. */
export class TtrpcClosedError extends LongshoreError {
  constructor(cause?: unknown) {
    super('Unavailable', 'ttrpc: closed', cause === undefined ? undefined : { cause });
    this.name = 'TtrpcClosedError';
  }
}

export function oversizedError(sizeBytes: number): LongshoreError {
  return new LongshoreError(
    'ResourceExhausted',
    `ttrpc: message length ${sizeBytes} exceeds the maximum of ${MAX_DATA_BYTES}`,
  );
}

export interface FramedSocketSink extends FrameSink {
  /** Called once; nothing else is called after it. */
  onClose(error?: Error): void;
}

/** A connected socket that carries frames. It owns the socket. */
export class FramedSocket {
  readonly #socket: Socket;
  #pausers = 0;

  constructor(socket: Socket, sink: FramedSocketSink) {
    this.#socket = socket;
    let failure: Error | undefined;
    const reader = new FrameReader(sink);
    socket.on('data', (chunk: Buffer) => reader.push(chunk));
    socket.on('error', (error) => {
      failure = error;
    });
    socket.once('close', () => sink.onClose(failure));
  }

  /** Throws `ResourceExhausted` for data over the limit, `Unavailable` once the connection is closed. */
  send(frame: Frame): void {
    if (frame.data.length > MAX_DATA_BYTES) throw oversizedError(frame.data.length);
    if (!this.#socket.writable) throw new TtrpcClosedError();
    this.#socket.write(encodeFrame(frame));
  }

  /** Resolves when the peer has taken enough for more to be sent, or the connection is closed. */
  async drained(): Promise<void> {
    if (!this.#socket.writableNeedDrain || this.#socket.destroyed) return;
    const stop = new AbortController();
    const ended = [once(this.#socket, 'drain', stop), once(this.#socket, 'close', stop)];
    // The loser is aborted, and a socket error is seen by whoever sends next.
    await Promise.any(ended).catch(() => undefined);
    stop.abort();
    await Promise.allSettled(ended);
  }

  /** ttrpc has no flow control: a stream whose reader is slow holds up the connection, as it does in Go. */
  pause(): void {
    if (this.#pausers++ === 0) this.#socket.pause();
  }

  resume(): void {
    if (--this.#pausers === 0) this.#socket.resume();
  }

  /** Ends after what was sent has left; the peer sees an orderly end. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
