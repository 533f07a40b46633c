import type { Readable } from 'node:stream';

/**
 * What is read of a stream that is not ours, until it ends, fails or is stopped. A stopped one is paused and not destroyed: what it holds
 * is for its next reader, and a paused terminal does not keep its process alive.
 */
export class InputSource implements AsyncIterable<Uint8Array> {
  readonly #stream: Readable;
  readonly #chunks: Uint8Array[] = [];
  #isRead = false;
  #isOver = false;
  #progress = Promise.withResolvers<void>();

  constructor(stream: Readable) {
    this.#stream = stream;
  }

  /** The next chunk, which stays until it is taken; undefined at the end. */
  async peek(): Promise<Uint8Array | undefined> {
    this.#begin();
    while (this.#chunks.length === 0 && !this.#isOver) {
      this.#stream.resume();
      await this.#progress.promise;
    }
    return this.#chunks[0];
  }

  take(): void {
    this.#chunks.shift();
  }

  /** A chunk is taken once its reader asks for the next one. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (let chunk = await this.peek(); chunk; chunk = await this.peek()) {
      yield chunk;
      this.take();
    }
  }

  /** What was read before is still given. */
  readonly stop = (): void => {
    this.#isOver = true;
    const stream = this.#stream;
    stream.off('data', this.#onData).off('end', this.stop).off('close', this.stop).off('error', this.stop);
    if (this.#isRead) stream.pause();
    this.#wake();
  };

  readonly #onData = (chunk: Uint8Array | string): void => {
    this.#stream.pause();
    this.#chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
    this.#wake();
  };

  #begin(): void {
    if (this.#isRead || this.#isOver) return;
    this.#isRead = true;
    const stream = this.#stream;
    if (stream.readableEnded || stream.destroyed) this.#isOver = true;
    else stream.on('data', this.#onData).on('end', this.stop).on('close', this.stop).on('error', this.stop);
  }

  #wake(): void {
    this.#progress.resolve();
    this.#progress = Promise.withResolvers();
  }
}
