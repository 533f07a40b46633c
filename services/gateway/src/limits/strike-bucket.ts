/** How many seconds' worth may come at once. */
const BURST_SECONDS = 10;

/** Allows so many things in a second, and ten times that at once. */
export class StrikeBucket {
  readonly #perSecond: number;
  #left: number;
  #at: number | undefined;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#left = perSecond * BURST_SECONDS;
  }

  /** Whether one more is allowed; `nowMs` never goes back. */
  take(nowMs: number): boolean {
    const sinceMs = nowMs - (this.#at ?? nowMs);
    this.#at = nowMs;
    const full = this.#perSecond * BURST_SECONDS;
    this.#left = Math.min(full, this.#left + (sinceMs / 1000) * this.#perSecond) - 1;
    return this.#left >= 0;
  }
}
