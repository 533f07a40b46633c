import { failedPrecondition } from '@longshore/errors';
import type { Scope } from '@longshore/kit';
import type { Candidate, CollectionRecords, RemovalEvent, Removed } from './collection.ts';
import type { LedTerm } from './led-term.ts';
import { removalOrder } from './removal-order.ts';

/** Records removed in one transaction: few enough for it to take well under a second. */
const BATCH_SIZE = 500;
/** Removing most of a small scope is what an ordinary `image rm` does; only large ones are guarded. */
const GUARDED_SIZE = 1000;

export interface CollectionResult {
  readonly removed: number;
  readonly events: readonly RemovalEvent[];
}

export interface CollectorOptions {
  /** A collection that would remove more than this share of a large scope's records stops before it does. */
  maxShare: number;
}

/** Called with every batch that is gone, so that bytes and counters follow. */
export type RemovalListener = (removed: readonly Removed[]) => void;

/** Removes from one scope what no root leads to. */
export class Collector {
  readonly #records: CollectionRecords;
  readonly #options: CollectorOptions;
  readonly #onRemoved: RemovalListener;

  constructor(records: CollectionRecords, options: CollectorOptions, onRemoved: RemovalListener) {
    this.#records = records;
    this.#options = options;
    this.#onRemoved = onRemoved;
  }

  /**
   * Safe beside another replica's: what both would remove goes once, under the scope's lock. Throws Unavailable while a
   * service's collection contract is missing, or when the term that it is done in is over; FailedPrecondition above the share.
   */
  async collect(scope: Scope, term?: LedTerm): Promise<CollectionResult> {
    const mark = await this.#records.mark(scope);
    const share = mark.candidates.length / Math.max(1, mark.collectable);
    if (mark.collectable >= GUARDED_SIZE && share > this.#options.maxShare) {
      throw failedPrecondition(
        `garbage collection of namespace ${JSON.stringify(scope.namespace)} on node ${JSON.stringify(scope.node)} ` +
          `would remove ${mark.candidates.length} of ${mark.collectable} records`,
      );
    }
    const removed: Removed[] = [];
    for (const batch of await this.#batches(scope, mark.candidates)) {
      const gone = await this.#records.sweep(scope, mark, batch, term);
      this.#onRemoved(gone);
      removed.push(...gone);
    }
    return { removed: removed.length, events: removed.flatMap(({ event }) => event ?? []) };
  }

  /** Order matters between transactions only. */
  async #batches(scope: Scope, candidates: readonly Candidate[]): Promise<Candidate[][]> {
    if (candidates.length === 0) return [];
    if (candidates.length <= BATCH_SIZE) return [[...candidates]];
    const ordered = removalOrder(candidates, await this.#records.references(scope, candidates));
    const batches: Candidate[][] = [];
    for (let start = 0; start < ordered.length; start += BATCH_SIZE) {
      batches.push(ordered.slice(start, start + BATCH_SIZE));
    }
    return batches;
  }
}
