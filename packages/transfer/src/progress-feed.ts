/** Often enough for people to watch. */
const EVERY_MS = 200;

/**
 * Tells of work while it goes on: a picture of it at once, then one after each change, at most five a second however
 * often it changes and however slowly the pictures are taken.
 */
export class ProgressFeed<T> {
  readonly #picture: () => T;
  readonly #everyMs: number;
  #hasChanged = true;
  #wake: () => void = () => undefined;

  constructor(picture: () => T, everyMs = EVERY_MS) {
    this.#picture = picture;
    this.#everyMs = everyMs;
  }

  changed(): void {
    this.#hasChanged = true;
    this.#wake();
  }

  /** Ends with the work, and throws what it throws. The last picture is the caller's to take. */
  async *until(work: Promise<unknown>): AsyncGenerator<T> {
    let isOver = false;
    const over = work
      .catch(() => undefined)
      .then(() => {
        isOver = true;
        this.#wake();
      });
    while (!isOver) {
      if (this.#hasChanged) {
        this.#hasChanged = false;
        yield this.#picture();
        await Promise.race([over, later(this.#everyMs)]);
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          if (isOver || this.#hasChanged) resolve();
        });
      }
    }
    await work;
  }
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
