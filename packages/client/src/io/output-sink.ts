import type { Writable } from 'node:stream';

/** Where output goes: a stream that is not ours. One that fails, or is destroyed, does not hold the process up. */
export class OutputSink {
  readonly #stream: Writable | undefined;
  #isOver = false;
  readonly #onOver = () => {
    this.#isOver = true;
    this.#wake?.();
  };
  readonly #onDrain = () => this.#wake?.();
  #wake: (() => void) | undefined;

  constructor(stream: Writable | undefined) {
    this.#stream = stream;
    this.#isOver = stream === undefined || !stream.writable;
    stream?.on('drain', this.#onDrain).on('close', this.#onOver).on('error', this.#onOver);
  }

  /** Resolves when more may be written. */
  async write(data: Uint8Array): Promise<void> {
    if (this.#isOver || this.#stream!.write(data)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await promise;
  }

  /** Ends the stream, as `pipe` does: but for this process's own. */
  end(): void {
    const stream = this.#stream;
    stream?.off('drain', this.#onDrain).off('close', this.#onOver).off('error', this.#onOver);
    this.#wake?.();
    if (!stream || this.#isOver || stream === process.stdout || stream === process.stderr) return;
    this.#isOver = true;
    stream.end();
  }
}
