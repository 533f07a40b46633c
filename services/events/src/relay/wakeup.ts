/** Lets one waiter sleep until a time is over, somebody rings, or a signal aborts. */
export class Wakeup {
  #rung = false;
  #wake: (() => void) | undefined;

  /** Ends the current wait, or the next one at once. */
  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  async wait(timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (!this.#rung && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = () => resolve();
      const timer = setTimeout(wake, timeoutMs);
      signal.addEventListener('abort', wake, { once: true });
      this.#wake = wake;
      await promise;
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
    }
    this.#rung = false;
  }
}
