/**
 * Serial numbers of certificates that are worth nothing any more, in lower-case hexadecimal without leading zeros.
 * One object per process, shared by its servers and channels; `watchRevocations` of the client keeps it true.
 */
export class Revocations {
  #serials: ReadonlySet<string> = new Set();
  readonly #listeners = new Set<() => void>();

  has(serial: string): boolean {
    return this.#serials.has(serial);
  }

  get serials(): string[] {
    return [...this.#serials].sort();
  }

  /** Takes the whole list that is in force; tells the listeners when it differs. */
  replace(serials: Iterable<string>): void {
    const next = new Set(serials);
    const isSame = next.size === this.#serials.size && [...next].every((serial) => this.#serials.has(serial));
    if (isSame) return;
    this.#serials = next;
    for (const listener of this.#listeners) listener();
  }

  /** Calls back after each change; answers a function that ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
