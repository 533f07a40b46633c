import type { ServerHttp2Stream } from 'node:http2';

/** More than any unary request but a few; a stream that is longer is sent once. */
const MAX_BYTES = 64 * 1024;

/** Remembers what was read of a request, so that it can be sent again. */
export class RequestLog {
  readonly #incoming: ServerHttp2Stream;
  #chunks: Buffer[] | undefined = [];
  #sizeBytes = 0;

  constructor(incoming: ServerHttp2Stream) {
    this.#incoming = incoming;
    incoming.on('data', this.#keep);
  }

  /** All that was read so far; undefined when it was too much, or is not kept any more. */
  get chunks(): readonly Buffer[] | undefined {
    return this.#chunks;
  }

  stop(): void {
    this.#chunks = undefined;
    this.#incoming.off('data', this.#keep);
  }

  readonly #keep = (chunk: Buffer) => {
    this.#chunks?.push(chunk);
    this.#sizeBytes += chunk.length;
    if (this.#sizeBytes > MAX_BYTES) this.stop();
  };
}
