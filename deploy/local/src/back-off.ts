const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 30_000;
/** Who ran for so long is taken to have started well: the next delay is the first one again. */
const HEALTHY_AFTER_MS = 30_000;

/** The pause before a process is started again: 0.5 s, doubled each time it fails soon, at most 30 s. */
export class BackOff {
  #failures = 0;

  /** `ranMs`: how long it ran. */
  next(ranMs: number): number {
    if (ranMs >= HEALTHY_AFTER_MS) this.#failures = 0;
    const delayMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures);
    this.#failures += 1;
    return delayMs;
  }
}
