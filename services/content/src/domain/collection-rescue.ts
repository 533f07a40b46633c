import type { Candidate, OpenNode } from './collection.ts';
import { inPieces } from './collection-pieces.ts';

/**
 * Which candidates something has come to refer to since the mark, directly or not. The references among open nodes are those of
 * the mark: a record whose references have changed is itself among what changed, with all that it refers to now.
 */
export class CollectionRescue {
  readonly #open: readonly OpenNode[];
  /** By their ids; names that share one are rare. */
  readonly #places: ReadonlyMap<bigint, number | number[]>;
  readonly #kept = new Set<Candidate>();
  readonly #reached: Uint8Array;

  private constructor(open: readonly OpenNode[], places: ReadonlyMap<bigint, number | number[]>) {
    this.#open = open;
    this.#places = places;
    this.#reached = new Uint8Array(open.length);
  }

  static async of(open: readonly OpenNode[]): Promise<CollectionRescue> {
    const places = new Map<bigint, number | number[]>();
    for await (const [start, piece] of inPieces(open)) {
      for (const [offset, { id }] of piece.entries()) {
        const others = places.get(id);
        const place = start + offset;
        places.set(id, others === undefined ? place : [others, place].flat());
      }
    }
    return new CollectionRescue(open, places);
  }

  /** Keeps what is named, and all that it refers to. */
  keep(ids: readonly bigint[]): void {
    const waiting = ids.flatMap((id) => this.#places.get(id) ?? []);
    for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
      if (this.#reached[place] === 1) continue;
      this.#reached[place] = 1;
      const { candidate, refersTo } = this.#open[place]!;
      if (candidate) this.#kept.add(candidate);
      for (const other of refersTo) waiting.push(other);
    }
  }

  isKept(candidate: Candidate): boolean {
    return this.#kept.has(candidate);
  }
}
