import { isStorageError } from './storage-error.ts';

export interface RetryQueueOptions<T> {
  /** Must be safe to repeat after it has thrown. */
  write(item: T): void;
  retryMs: number;
  maxItems: number;
}

/** Writes items in their order; those that the disk does not take wait, and are tried again until it does. */
export class RetryQueue<T> {
  readonly #options: RetryQueueOptions<T>;
  readonly #waiting: T[] = [];
  #retry: NodeJS.Timeout | undefined;

  constructor(options: RetryQueueOptions<T>) {
    this.#options = options;
  }

  /** Writes the item, or has it wait. Throws what the disk does when too many wait. */
  put(item: T): void {
    try {
      this.flush();
      this.#options.write(item);
    } catch (error) {
      if (!isStorageError(error) || this.#waiting.length >= this.#options.maxItems) throw error;
      this.#waiting.push(item);
      this.#retryLater();
    }
  }

  /** Writes what waits, which nothing may overtake. Throws what the disk does. */
  flush(): void {
    while (this.#waiting.length > 0) {
      this.#options.write(this.#waiting[0]!);
      this.#waiting.shift();
    }
  }

  /** Forgets what waits. */
  close(): void {
    clearTimeout(this.#retry);
    this.#waiting.length = 0;
  }

  #retryLater(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      try {
        this.flush();
      } catch (error) {
        if (!isStorageError(error)) throw error;
        this.#retryLater();
      }
    }, this.#options.retryMs);
  }
}
