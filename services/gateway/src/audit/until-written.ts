import { setTimeout as delay } from 'node:timers/promises';

/** Nobody waits for these, so that many go at once. */
const GATHER_MS = 25;
const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 5_000;

export interface UntilWrittenOptions<T> {
  /** Is repeated, with the same items first, until it succeeds. */
  write(items: readonly T[]): Promise<void>;
  maxItems: number;
  /** Told of each time in a row that it fails. */
  onError(error: unknown): void;
}

/** Writes items in their order and in batches, as often as it takes. States: open → closed. */
export class UntilWritten<T> {
  readonly #options: UntilWrittenOptions<T>;
  readonly #waiting: T[] = [];
  readonly #closing = new AbortController();
  #run: Promise<void> | undefined;

  constructor(options: UntilWrittenOptions<T>) {
    this.#options = options;
  }

  /** How many are not written yet. */
  get size(): number {
    return this.#waiting.length;
  }

  add(item: T): void {
    this.#waiting.push(item);
    this.#run ??= this.#writeAll();
  }

  /** Tries once more what waits; what cannot be written then is lost. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#run;
  }

  async #writeAll(): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    await this.#pause(GATHER_MS);
    while (this.#waiting.length > 0) {
      const isLastTry = this.#closing.signal.aborted;
      const batch = this.#waiting.slice(0, this.#options.maxItems);
      try {
        await this.#options.write(batch);
        this.#waiting.splice(0, batch.length);
        retryMs = FIRST_RETRY_MS;
      } catch (error) {
        this.#options.onError(error);
        if (isLastTry) return;
        await this.#pause(retryMs);
        retryMs = Math.min(2 * retryMs, LAST_RETRY_MS);
      }
    }
    this.#run = undefined;
  }

  /** Ends early when this is closed. */
  #pause(ms: number): Promise<void> {
    return delay(ms, undefined, { signal: this.#closing.signal }).catch(() => undefined);
  }
}
