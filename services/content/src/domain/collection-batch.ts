/**
 * For how long a batch may keep everybody else from changing the scope. A write can meet two batches, and waits as long again for
 * its own turn: all of it must be well below what anybody may wait, also where a batch takes longer than it should.
 */
const TARGET_MS = 15;
const FIRST_SIZE = 100;
/** Fewer would take as long: a batch costs a look at what changed, and a wait for the disk. */
const MIN_SIZE = 20;
const MAX_SIZE = 1000;
/** A batch of one quick moment must not decide alone. */
const MAX_GROWTH = 2;
/**
 * Of the time that a batch has taken: whoever waited goes first, and a content.Write, which needs the scope twice, is done before the
 * next batch.
 */
const REST_SHARE = 3;
const MAX_REST_MS = 60;

/** How many records the next batch removes: as many as the last one says fit into the time. */
export class CollectionBatch {
  #size = FIRST_SIZE;
  #restMs = 0;

  get size(): number {
    return this.#size;
  }

  /** How long to leave the scope to others before the next one. */
  get restMs(): number {
    return this.#restMs;
  }

  /** A batch of `records` kept the scope locked for so long. */
  took(records: number, ms: number): void {
    const fitting = (Math.max(1, records) * TARGET_MS) / Math.max(1, ms);
    const bounded = Math.min(fitting, this.#size * MAX_GROWTH);
    this.#size = Math.round(Math.min(MAX_SIZE, Math.max(MIN_SIZE, bounded)));
    this.#restMs = Math.min(MAX_REST_MS, ms * REST_SHARE);
  }
}
