import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { setPipeSize } from '@longshore/linux';

/** What a process may write while the agent is away before it has to wait. */
const PIPE_BYTES = 1024 ** 2;

/**
 * The agent's end of a fifo that a shim writes to. A shim opens it for reading and writing, so what is in it outlives the agent.
 * States: held → released → ended: until {@link release} it does not end, though nobody else has opened it yet.
 */
export class OutputReader implements AsyncIterable<Buffer> {
  readonly #socket: Socket;
  #guard: number | undefined;

  /** Throws what the file system does. */
  constructor(path: string) {
    using undo = new DisposableStack();
    const fd = undo.adopt(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK), closeSync);
    // Opened again by a later agent it ends, even when the shim has closed it before: poll(2) tells of writers that were there since.
    const guard = undo.adopt(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK), closeSync);
    setPipeSize(fd, PIPE_BYTES);
    this.#socket = new Socket({ fd, readable: true, writable: false });
    this.#socket.on('error', () => undefined);
    this.#guard = guard;
    undo.move();
  }

  /** From now on it ends when the shim has closed its ends. */
  release(): void {
    if (this.#guard !== undefined) closeSync(this.#guard);
    this.#guard = undefined;
  }

  /** What the process writes, until it ends or {@link close}; the pipe is read as fast as this is. Never fails. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of this.#socket.iterator({ destroyOnReturn: false })) yield chunk as Buffer;
    } catch {
      // Closed by us.
    }
  }

  /** What is in the pipe stays there, for as long as the shim has it open. */
  close(): void {
    this.release();
    this.#socket.destroy();
  }
}
