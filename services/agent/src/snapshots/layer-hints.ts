/** Some 200 bytes each. */
const MOST_HINTS = 4_096;

/** Where a snapshot is on disk. */
export interface LayerHint {
  generation: string;
  ancestors: readonly string[];
}

/**
 * What the catalogue last said of some names, to spare asking before each call. Others change the catalogue too, so a
 * hint may be wrong, and is only to be used where the catalogue's answer shows it afterwards.
 */
export class LayerHints {
  /** In the order of their last use. */
  readonly #hints = new Map<string, LayerHint>();

  get(namespace: string, snapshotter: string, name: string): LayerHint | undefined {
    const key = keyOf(namespace, snapshotter, name);
    const hint = this.#hints.get(key);
    if (hint) this.#put(key, hint);
    return hint;
  }

  set(namespace: string, snapshotter: string, name: string, hint: LayerHint): void {
    this.#put(keyOf(namespace, snapshotter, name), hint);
    const [oldest] = this.#hints.keys();
    if (this.#hints.size > MOST_HINTS && oldest !== undefined) this.#hints.delete(oldest);
  }

  delete(namespace: string, snapshotter: string, name: string): void {
    this.#hints.delete(keyOf(namespace, snapshotter, name));
  }

  #put(key: string, hint: LayerHint): void {
    this.#hints.delete(key);
    this.#hints.set(key, hint);
  }
}

function keyOf(...parts: string[]): string {
  return parts.join('\u0000');
}
