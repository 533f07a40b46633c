/** Lets one through at a time for each key, in the order in which they came. */
export class KeyedTurns {
  readonly #last = new Map<string, Promise<void>>();

  /** Rejects with the signal's reason when it aborts before it is the caller's turn. */
  async run<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const turn = Promise.withResolvers<void>();
    const done = (before ?? Promise.resolve()).then(() => turn.promise);
    this.#last.set(key, done);
    void done.then(() => {
      if (this.#last.get(key) === done) this.#last.delete(key);
    });
    try {
      if (before) await Promise.race([before, aborted(signal)]);
      signal.throwIfAborted();
      return await work();
    } finally {
      turn.resolve();
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
