import type { Readable } from 'node:stream';

/**
 * What is read of a stream that is not ours, until it ends, fails or is stopped. A stopped one is paused and not destroyed: what it holds
 * is for its next reader, and a paused terminal does not keep its process alive.
 */
export class InputSource implements AsyncIterable<Uint8Array> {
  readonly #stream: Readable;
  readonly #chunks: Uint8Array[] = [];
  #isOver = false;
  #wake: (() => void) | undefined;

  constructor(stream: Readable) {
    this.#stream = stream;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const stream = this.#stream;
    if (stream.readableEnded || stream.destroyed) return;
    const onData = (chunk: Uint8Array | string) => {
      stream.pause();
      this.#chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
      this.#wake?.();
    };
    const onEnd = () => this.stop();
    stream.on('data', onData).on('end', onEnd).on('close', onEnd).on('error', onEnd);
    try {
      while (!this.#isOver || this.#chunks.length > 0) {
        const chunk = this.#chunks.shift();
        if (chunk) yield chunk;
        else await this.#next();
      }
    } finally {
      stream.off('data', onData).off('end', onEnd).off('close', onEnd).off('error', onEnd);
      stream.pause();
    }
  }

  /** What was read before is still given. */
  stop(): void {
    this.#isOver = true;
    this.#wake?.();
  }

  async #next(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    this.#stream.resume();
    await promise;
  }
}
