import type { RecordKind } from './record-kinds.ts';

/** Kinds of records in namespaces of which something may have happened that was not heard of yet. */
export class UncertainPlaces {
  readonly #counts = new Map<string, number>();

  /** Until the answer is called; once for each call. */
  add(kind: RecordKind, namespace: string): () => void {
    const place = placeOf(kind, namespace);
    this.#counts.set(place, (this.#counts.get(place) ?? 0) + 1);
    return () => {
      const left = (this.#counts.get(place) ?? 0) - 1;
      if (left > 0) this.#counts.set(place, left);
      else this.#counts.delete(place);
    };
  }

  has(kind: RecordKind, namespace: string): boolean {
    return this.#counts.has(placeOf(kind, namespace));
  }
}

/** Which namespace a change of a namespace is about, its headers do not say. */
function placeOf(kind: RecordKind, namespace: string): string {
  return kind === 'namespace' ? kind : `${kind} ${namespace}`;
}
