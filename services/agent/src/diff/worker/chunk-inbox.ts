/** Chunks that are pushed in by messages, to be read as an iterable, once. */
export class ChunkInbox implements AsyncIterable<Buffer> {
  private readonly chunks: Buffer[] = [];
  private readonly onConsumed: (bytes: number) => void;
  private state: 'open' | 'ended' | { error: unknown } = 'open';
  private wake: () => void = () => {};

  /** `onConsumed` is called with the size of each chunk that the reader took. */
  constructor(onConsumed: (bytes: number) => void) {
    this.onConsumed = onConsumed;
  }

  push(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.wake();
  }

  end(): void {
    if (this.state === 'open') this.state = 'ended';
    this.wake();
  }

  /** The reader gets `error` in place of what was not read yet. */
  fail(error: unknown): void {
    this.state = { error };
    this.wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (;;) {
      if (typeof this.state === 'object') throw this.state.error;
      const chunk = this.chunks.shift();
      if (chunk) {
        this.onConsumed(chunk.length);
        yield chunk;
      } else if (this.state === 'ended') {
        return;
      } else {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.wake = resolve;
        await promise;
      }
    }
  }
}
