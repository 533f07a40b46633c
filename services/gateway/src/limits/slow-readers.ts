import type { Writable } from 'node:stream';

/** How often answers are looked at, in the time that they may stand still. */
const LOOKS = 10;
/** An answer that stands holds what the upstream has sent of it, up to a stream's window of 1 MiB. */
const MAX_STANDING = 256;

/**
 * Cuts answers that their callers do not read: what waits to be sent has not moved for a time. When many stand still, those
 * that have for longest go before it. States: open → closed.
 */
export class SlowReaders {
  readonly #timeoutMs: number;
  readonly #onCut: () => void;
  readonly #timer: NodeJS.Timeout;
  readonly #answers = new Map<Writable, () => void>();
  /** Since when each has stood, the first one longest. */
  readonly #standing = new Map<Writable, number>();

  constructor(timeoutMs: number, onCut: () => void = () => undefined) {
    this.#timeoutMs = timeoutMs;
    this.#onCut = onCut;
    this.#timer = setInterval(() => this.#look(), timeoutMs / LOOKS).unref();
  }

  /** `cut` ends the answer. */
  watch(answer: Writable, cut: () => void): void {
    this.#answers.set(answer, cut);
    answer.once('close', () => {
      this.#answers.delete(answer);
      this.#standing.delete(answer);
    });
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    for (const answer of this.#answers.keys()) {
      if (!answer.writableNeedDrain || this.#standing.has(answer)) continue;
      this.#standing.set(answer, now);
      answer.once('drain', () => this.#standing.delete(answer));
    }
    for (const [answer, since] of this.#standing) {
      // Half a round at least, so that one who is merely slow at this moment is not among them.
      const isOneTooMany = this.#standing.size > MAX_STANDING && now - since >= this.#timeoutMs / LOOKS / 2;
      if (now - since < this.#timeoutMs && !isOneTooMany) break;
      this.#standing.delete(answer);
      this.#onCut();
      this.#answers.get(answer)?.();
    }
  }
}
