import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { OutputSink } from './output-sink.ts';

/**
 * This side's end of a fifo that a shim writes to. States: held → released → ended: until {@link release} it does not end, though nobody
 * has opened it for writing yet; then it ends with its last writer. Opening and reading block no thread.
 */
export class FifoReader {
  readonly #socket: Socket;
  #guard: number | undefined;

  /** Throws what the file system does. */
  constructor(path: string) {
    using undo = new DisposableStack();
    const fd = undo.adopt(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK), closeSync);
    const guard = undo.adopt(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK), closeSync);
    this.#socket = new Socket({ fd, readable: true, writable: false });
    this.#socket.on('error', () => undefined);
    this.#guard = guard;
    undo.move();
  }

  /** To be called once the shim has the fifo open. */
  release(): void {
    if (this.#guard !== undefined) closeSync(this.#guard);
    this.#guard = undefined;
  }

  /** Resolves at the end, also of {@link close}. */
  async copyTo(sink: OutputSink): Promise<void> {
    try {
      for await (const chunk of this.#socket) await sink.write(chunk as Buffer);
    } catch {
      // Closed by us.
    } finally {
      sink.end();
    }
  }

  close(): void {
    this.release();
    this.#socket.destroy();
  }
}
