interface Offered<T> {
  value: T;
  taken(): void;
}

/**
 * From several producers to one consumer, who is never ahead of them by more than one value each: `put` resolves when its value
 * was taken. States: open → ended or failed; values that were put before the end are given, what comes after it goes nowhere.
 */
export class Handover<T> implements AsyncIterable<T> {
  readonly #offered: Offered<T>[] = [];
  #end: { error?: unknown } | undefined;
  #wake: (() => void) | undefined;
  /** Since when the consumer waits, by `performance.now()`. */
  #waitingSince: number | undefined;

  /** For how long the consumer has been waiting for a value. */
  get waitedMs(): number {
    return this.#waitingSince === undefined ? 0 : performance.now() - this.#waitingSince;
  }

  get isOver(): boolean {
    return this.#end !== undefined;
  }

  async put(value: T): Promise<void> {
    if (this.#end) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#offered.push({ value, taken: resolve });
    this.#wake?.();
    await promise;
  }

  end(): void {
    this.#finish({});
  }

  /** The consumer fails with this, at once; what was not taken is dropped. */
  fail(error: unknown): void {
    this.#finish({ error });
    for (const { taken } of this.#offered.splice(0)) taken();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (;;) {
        const offered = this.#offered.shift();
        if (offered) {
          yield offered.value;
          offered.taken();
        } else if (this.#end) {
          if ('error' in this.#end) throw this.#end.error;
          return;
        } else {
          this.#waitingSince = performance.now();
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          this.#waitingSince = undefined;
        }
      }
    } finally {
      this.fail(undefined);
    }
  }

  #finish(end: { error?: unknown }): void {
    this.#end ??= end;
    this.#wake?.();
  }
}
