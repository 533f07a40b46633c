/** Messages waiting for their reader before the connection is paused. */
const HIGH_WATER_MESSAGES = 64;

export interface QueuePressure {
  /** The queue is full. */
  pause(): void;
  /** A queue that was full has room again. */
  resume(): void;
}

/** Received messages of one stream, read by one async iteration. */
export class MessageQueue<T> implements AsyncIterable<T> {
  readonly #pressure: QueuePressure;
  readonly #messages: T[] = [];
  #end: { error?: Error } | undefined;
  #wake: (() => void) | undefined;
  #paused = false;

  constructor(pressure: QueuePressure) {
    this.#pressure = pressure;
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  push(message: T): void {
    if (this.#end) return;
    this.#messages.push(message);
    this.#wake?.();
    if (this.#paused || this.#messages.length < HIGH_WATER_MESSAGES) return;
    this.#paused = true;
    this.#pressure.pause();
  }

  /** What was pushed before is still read; then the iteration ends, or throws the error. The first end counts. */
  end(error?: Error): void {
    this.#end ??= error ? { error } : {};
    this.#wake?.();
  }

  /** Nobody reads any more: what waits is dropped, and holds the connection up no longer. */
  discard(): void {
    this.end();
    this.#messages.length = 0;
    this.#relieve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (;;) {
        while (this.#messages.length > 0) {
          yield this.#messages.shift()!;
          this.#relieve();
        }
        if (this.#end?.error) throw this.#end.error;
        if (this.#end) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      this.discard();
    }
  }

  #relieve(): void {
    if (!this.#paused || this.#messages.length > HIGH_WATER_MESSAGES / 2) return;
    this.#paused = false;
    this.#pressure.resume();
  }
}
