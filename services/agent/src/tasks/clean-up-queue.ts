/** Each is a process or two of the shim's, which together should not starve what runs. */
const AT_ONCE = 4;

interface CleanUp {
  run(): Promise<void>;
  done: PromiseWithResolvers<void>;
}

/**
 * What an earlier agent's tasks have left, cleaned up a few at a time while the node is at work. A clean-up says itself
 * what it fails with.
 */
export class CleanUpQueue {
  /** In their order; those under way are in `#running` as well. */
  readonly #all = new Map<string, CleanUp>();
  readonly #running = new Set<string>();
  readonly #first: string[] = [];
  readonly #atOnce: number;
  #closed = false;

  constructor(atOnce = AT_ONCE) {
    this.#atOnce = atOnce;
  }

  /** `run` must not fail. A key is not given twice while its clean-up is not done. */
  add(key: string, run: () => Promise<void>): void {
    this.#all.set(key, { run, done: Promise.withResolvers() });
    this.#next();
  }

  has(key: string): boolean {
    return this.#all.has(key);
  }

  keys(): string[] {
    return [...this.#all.keys()];
  }

  /** Resolves when nothing of that key is left to clean up, which is done before all that waits. */
  async done(key: string): Promise<void> {
    const found = this.#all.get(key);
    if (!found) return;
    this.#first.push(key);
    await found.done.promise;
  }

  /** Begins nothing more, and waits for what is under way. The rest is for the next agent. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#running].map((key) => this.#all.get(key)?.done.promise));
  }

  #next(): void {
    while (!this.#closed && this.#running.size < this.#atOnce) {
      const key = this.#first.shift() ?? this.#all.keys().find((one) => !this.#running.has(one));
      if (key === undefined) return;
      const found = this.#all.get(key);
      if (found && !this.#running.has(key)) void this.#run(key, found);
    }
  }

  async #run(key: string, { run, done }: CleanUp): Promise<void> {
    this.#running.add(key);
    try {
      await run();
    } finally {
      this.#running.delete(key);
      this.#all.delete(key);
      done.resolve();
      this.#next();
    }
  }
}
