import { setTimeout as delay } from 'node:timers/promises';
import type { Scope } from '@longshore/kit';
import type {
  Candidate,
  CollectionMemory,
  CollectionRecords,
  Mark,
  RemovalEvent,
  Removed,
} from './collection.ts';
import { CollectionBatch } from './collection-batch.ts';
import { CollectionStopped, objectionTo, type StopReason } from './collection-guard.ts';
import { CollectionRescue } from './collection-rescue.ts';
import type { LedTerm } from './led-term.ts';
import { orderForRemoval } from './removal-order.ts';

/** What changed during a longer mark is looked at before the scope is locked for the first time. */
const CATCH_UP_MS = 100;

export interface CollectionResult {
  readonly removed: number;
  readonly events: readonly RemovalEvent[];
}

export interface CollectOptions {
  readonly term?: LedTerm | undefined;
  /** Whatever looks wrong, and however much it removes. */
  readonly force?: boolean | undefined;
}

export interface CollectorOptions {
  /** A collection that would remove more than this share of a large scope's records stops before it does. */
  maxShare: number;
}

export type CollectionOutcome = 'completed' | 'failed' | StopReason;

/** Told of what collections do. */
export interface CollectionObserver {
  /** With every batch that is gone, so that bytes follow. */
  onRemoved(removed: readonly Removed[]): void;
  /** Once for each collection: how it ended, after how long. */
  onEnd?(outcome: CollectionOutcome, seconds: number): void;
}

/** Removes from one scope what no root leads to. */
export class Collector {
  readonly #records: CollectionRecords;
  readonly #memory: CollectionMemory;
  readonly #options: CollectorOptions;
  readonly #observer: CollectionObserver;

  constructor(
    records: CollectionRecords,
    memory: CollectionMemory,
    options: CollectorOptions,
    observer: CollectionObserver,
  ) {
    this.#records = records;
    this.#memory = memory;
    this.#options = options;
    this.#observer = observer;
  }

  /**
   * Safe beside another replica's: what both would remove goes once, under the scope's lock. Throws Unavailable while a
   * service's collection contract is missing, or when the term that it is done in is over; FailedPrecondition, unless forced,
   * when a view seems not to show what there is, and above the share. Then nothing was removed.
   */
  async collect(scope: Scope, options: CollectOptions = {}): Promise<CollectionResult> {
    const started = performance.now();
    const end = (outcome: CollectionOutcome) =>
      this.#observer.onEnd?.(outcome, (performance.now() - started) / 1000);
    try {
      const mark = await this.#records.mark(scope, options);
      await this.#check(scope, mark, options);
      const removed = await this.#sweep(scope, mark, performance.now() - started, options.term);
      await this.#memory.remember(scope, mark);
      end('completed');
      return { removed: removed.length, events: removed.flatMap(({ event }) => event ?? []) };
    } catch (error) {
      end(error instanceof CollectionStopped ? error.reason : 'failed');
      throw error;
    }
  }

  /** What a collection would remove now, all of it remembered as unreached from now on. Throws as `collect` does. */
  async dryRun(scope: Scope, options: Pick<CollectOptions, 'force'> = {}): Promise<Mark> {
    const mark = await this.#records.mark(scope, options);
    await this.#check(scope, mark, options);
    await this.#memory.rememberUnreached(scope, mark);
    return mark;
  }

  async #check(scope: Scope, mark: Mark, { force }: CollectOptions): Promise<void> {
    if (force) return;
    const objection = await objectionTo(scope, mark, this.#memory, this.#options.maxShare);
    if (!objection) return;
    await this.#memory.rememberUnreached(scope, mark);
    const where = `namespace ${JSON.stringify(scope.namespace)} on node ${JSON.stringify(scope.node)}`;
    const message = `garbage collection of ${where}: ${objection.problem}`;
    throw new CollectionStopped('FailedPrecondition', objection.reason, message);
  }

  async #sweep(scope: Scope, mark: Mark, tookMs: number, term: LedTerm | undefined): Promise<Removed[]> {
    if (mark.candidates.length === 0) return [];
    const rescue = await CollectionRescue.of(mark.open);
    const batch = new CollectionBatch();
    // Order matters between transactions only.
    const isOne = mark.candidates.length <= batch.size;
    const ordered = isOne ? mark.candidates : await orderedCandidates(mark);
    let since = mark.snapshot;
    if (tookMs > CATCH_UP_MS) {
      const changes = await this.#records.changes(scope, since);
      rescue.keep(changes.ids);
      since = changes.snapshot;
    }
    const removed: Removed[] = [];
    for (let start = 0; start < ordered.length; ) {
      if (start > 0) await delay(batch.restMs);
      const records = ordered.slice(start, start + batch.size);
      const choose = (changed: readonly bigint[]) => {
        rescue.keep(changed);
        return records.filter((record) => !rescue.isKept(record));
      };
      const swept = await this.#records.sweep(scope, since, choose, term);
      this.#observer.onRemoved(swept.removed);
      for (const each of swept.removed) removed.push(each);
      since = swept.snapshot;
      batch.took(records.length, swept.heldMs);
      start += records.length;
    }
    return removed;
  }
}

async function orderedCandidates({ open }: Mark): Promise<Candidate[]> {
  const candidates: Candidate[] = [];
  for (const place of await orderForRemoval(open)) {
    const { candidate } = open[place]!;
    if (candidate) candidates.push(candidate);
  }
  return candidates;
}
