import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { InputSource } from './input-source.ts';

/** This side's end of a process's standard input. The shim has an end of its own: the input ends when both are closed. */
export class FifoWriter {
  readonly #socket: Socket;

  /** Throws what the file system does. */
  constructor(path: string) {
    // For both directions: that opens at once, before the shim has it open and after.
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    this.#socket = new Socket({ fd, readable: false, writable: true });
    this.#socket.on('error', () => undefined);
  }

  /** Resolves when all of it is written, and this end closed; or when it was closed before. */
  async copyFrom(source: InputSource): Promise<void> {
    for await (const chunk of source) {
      if (this.#socket.destroyed) return;
      // Also called when the socket is closed meanwhile.
      await new Promise<void>((resolve) => this.#socket.write(chunk, () => resolve()));
    }
    this.#socket.destroy();
  }

  /** What is not written yet is lost. */
  close(): void {
    this.#socket.destroy();
  }
}
