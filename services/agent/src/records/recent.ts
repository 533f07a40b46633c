/** Values by key: those that were set or asked for last, at most so many. */
export class Recent<V> {
  readonly #values = new Map<string, V>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get(key: string): V | undefined {
    const value = this.#values.get(key);
    if (value !== undefined) this.#place(key, value);
    return value;
  }

  set(key: string, value: V): void {
    this.#place(key, value);
    if (this.#values.size <= this.#max) return;
    const [oldest] = this.#values.keys();
    if (oldest !== undefined) this.#values.delete(oldest);
  }

  delete(key: string): void {
    this.#values.delete(key);
  }

  clear(): void {
    this.#values.clear();
  }

  #place(key: string, value: V): void {
    this.#values.delete(key);
    this.#values.set(key, value);
  }
}
