/** Whoever waits for a process to end, and then looks at it or deletes it, comes first. */
const FIRST_DELAY_MS = 100;

/** A task that ran for so long is none that dies at its start. */
const FORGOTTEN_AFTER_MS = 10 * 60_000;

export interface BackoffOptions {
  /** Delay of the second start; it doubles with each that follows. */
  intervalMs: number;
  maxMs: number;
}

/**
 * How long a task that has ended is left so before it is started again: the first time hardly at all. Times are those of
 * any one clock, in milliseconds.
 */
export class RestartBackoff {
  readonly #options: BackoffOptions;
  #starts = 0;
  #startedAt = Number.NEGATIVE_INFINITY;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** For a task that ended at `endedAt`. */
  delayMs(endedAt: number): number {
    const { intervalMs, maxMs } = this.#options;
    if (this.#starts === 0 || this.#isForgotten(endedAt)) return FIRST_DELAY_MS;
    return Math.min(maxMs, intervalMs * 2 ** (this.#starts - 1));
  }

  /** Of each attempt to start what ended at `endedAt`, whether it succeeds or not. */
  started(now: number, endedAt: number): void {
    if (this.#isForgotten(endedAt)) this.#starts = 0;
    this.#starts += 1;
    this.#startedAt = now;
  }

  #isForgotten(endedAt: number): boolean {
    return endedAt - this.#startedAt >= FORGOTTEN_AFTER_MS;
  }
}
