import { isStorageError } from './storage-error.ts';

export interface RetryQueueOptions<T> {
  /** Must be safe to repeat after it has thrown. */
  write(item: T): void;
  sizeBytes(item: T): number;
  /** Hears of an item that had to wait, and then was refused for itself: it is dropped, whoever gave it has been answered. */
  refused(item: T, error: unknown): void;
  retryMs: number;
  /** Of what waits; one item always may. */
  maxItems: number;
  maxBytes: number;
}

/** Writes items in their order; those that the disk does not take wait, and are tried again until it does. */
export class RetryQueue<T> {
  readonly #options: RetryQueueOptions<T>;
  readonly #waiting: T[] = [];
  #waitingBytes = 0;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: RetryQueueOptions<T>) {
    this.#options = options;
  }

  /** Writes the item, or has it wait. Throws what the disk does when too much waits, and what the item is refused for. */
  put(item: T): void {
    try {
      this.flush();
      this.#options.write(item);
    } catch (error) {
      if (!isStorageError(error) || this.#isFull(item)) throw error;
      this.#waiting.push(item);
      this.#waitingBytes += this.#options.sizeBytes(item);
      this.#retryLater();
    }
  }

  /** Writes what waits, which nothing may overtake. Throws what the disk does. */
  flush(): void {
    while (this.#waiting.length > 0) {
      const [item] = this.#waiting as [T];
      this.#writeLate(item);
      this.#waiting.shift();
      this.#waitingBytes -= this.#options.sizeBytes(item);
    }
  }

  /** Forgets what waits. */
  close(): void {
    clearTimeout(this.#retry);
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
  }

  #writeLate(item: T): void {
    try {
      this.#options.write(item);
    } catch (error) {
      if (isStorageError(error)) throw error;
      this.#options.refused(item, error);
    }
  }

  #isFull(item: T): boolean {
    const { maxItems, maxBytes, sizeBytes } = this.#options;
    if (this.#waiting.length === 0) return false;
    return this.#waiting.length >= maxItems || this.#waitingBytes + sizeBytes(item) > maxBytes;
  }

  #retryLater(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      try {
        this.flush();
      } catch {
        // The disk's: others went to `refused`.
        this.#retryLater();
      }
    }, this.#options.retryMs);
  }
}
