/** What one client is entitled to find, whatever others do: what its leases, images and containers lead to. */
export class Holds {
  /** By the name of what holds, e.g. `lease a`: what it refers to. */
  readonly #targets = new Map<string, Set<string>>();
  readonly #flat = new Set<string>();
  /** From a record to others: by labels when they are not followed from a flat lease. */
  readonly #edges = new Map<string, Map<string, 'label' | 'field'>>();
  /** What was seen to be there since something of this client has held it. */
  #certain = new Set<string>();

  get certain(): ReadonlySet<string> {
    return this.#certain;
  }

  isHolding(holder: string): boolean {
    return this.#targets.has(holder);
  }

  hold(holder: string, options: { flat?: boolean } = {}): void {
    this.#targets.set(holder, new Set());
    if (options.flat) this.#flat.add(holder);
  }

  refer(from: string, to: string, by: 'label' | 'field'): void {
    const edges = this.#edges.get(from) ?? new Map();
    this.#edges.set(from, edges.set(to, by));
  }

  /** A record was seen, and a holder refers to it by now. */
  add(holder: string, target: string): void {
    this.#targets.get(holder)?.add(target);
    this.#certain.add(target);
    this.#prune();
  }

  /** A record was seen that something of this client leads to. */
  see(record: string): void {
    this.#certain.add(record);
  }

  /** A holder begins to refer to something that may not be there. */
  aim(holder: string, target: string): void {
    this.#targets.get(holder)?.add(target);
  }

  /** To be called before it is true. */
  drop(holder: string, target?: string): void {
    if (target === undefined) this.#targets.delete(holder);
    else this.#targets.get(holder)?.delete(target);
    this.#prune();
  }

  /** To be called before it is true: the client itself removes a record. */
  forget(record: string): void {
    this.#certain.delete(record);
    this.#edges.delete(record);
    this.#prune();
  }

  #prune(): void {
    const reached = new Set<string>();
    const whole = [...this.#targets].filter(([holder]) => !this.#flat.has(holder));
    const flat = [...this.#targets].filter(([holder]) => this.#flat.has(holder));
    this.#follow(
      whole.flatMap(([, targets]) => [...targets]),
      reached,
      false,
    );
    this.#follow(
      flat.flatMap(([, targets]) => [...targets]),
      reached,
      true,
    );
    // What is not held may go, and come back without what was added to it.
    for (const record of this.#certain) if (!reached.has(record)) this.#edges.delete(record);
    this.#certain = reached;
  }

  #follow(from: readonly string[], reached: Set<string>, isFlat: boolean): void {
    const waiting = [...from];
    for (let record = waiting.pop(); record !== undefined; record = waiting.pop()) {
      if (reached.has(record) || !this.#certain.has(record)) continue;
      reached.add(record);
      for (const [to, by] of this.#edges.get(record) ?? []) if (by === 'field' || !isFlat) waiting.push(to);
    }
  }
}
