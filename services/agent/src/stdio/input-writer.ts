import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';

/** Of what a process does not read; then its caller waits. */
const MAX_PENDING_BYTES = 1024 ** 2;

/**
 * The agent's end of a process's standard input. The shim has an end of its own, so that the input does not end with the agent;
 * for the process it ends once both are closed. What is written after its end goes nowhere.
 */
export class InputWriter {
  readonly #socket: Socket;
  #isEnded = false;
  #pendingBytes = 0;
  #progress = Promise.withResolvers<void>();

  /** Throws what the file system does. */
  constructor(path: string) {
    // For both directions, so that it can be opened before, and after, the shim has it open.
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    this.#socket = new Socket({ fd, readable: false, writable: true });
    this.#socket.on('error', () => undefined);
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Resolves when more may be written. */
  async write(data: Uint8Array): Promise<void> {
    if (this.#isEnded || data.length === 0) return;
    this.#pendingBytes += data.length;
    this.#socket.write(data, () => {
      this.#pendingBytes -= data.length;
      this.#progress.resolve();
      this.#progress = Promise.withResolvers<void>();
    });
    await this.#pendingAtMost(MAX_PENDING_BYTES);
  }

  /** Closes this end once all is written. */
  async end(): Promise<void> {
    this.#isEnded = true;
    await this.#pendingAtMost(0);
    this.#socket.destroy();
  }

  /** What is not written yet is lost. */
  close(): void {
    this.#isEnded = true;
    this.#socket.destroy();
  }

  async #pendingAtMost(bytes: number): Promise<void> {
    while (this.#pendingBytes > bytes) await this.#progress.promise;
  }
}
