import type { DeletionPage } from './deletion-log.ts';
import type { WatchedRecord } from './record-source.ts';
import { SEES_NOTHING, type WatchPosition } from './watch-position.ts';

/** Of one response; a single record may be larger. */
const BATCH_RECORDS = 500;
const BATCH_BYTES = 1024 * 1024;
/** About what a record's other fields take. */
const RECORD_BYTES = 200;

/**
 * One look at everything that changed behind a position. What is read before the first page of deletions is told again by
 * the next round, what was committed before it is told by this one.
 */
export class WatchRound {
  readonly #known: WatchPosition | undefined;
  #reached: WatchPosition | undefined;
  #isReset: boolean;
  #isResetTold = false;
  #records: WatchedRecord[] = [];
  #bytes = 0;

  constructor(known: WatchPosition | undefined) {
    this.#known = known;
    this.#isReset = known === undefined;
  }

  /** A `pg_snapshot`: what it sees need not be told. */
  get since(): string {
    return this.#isReset || !this.#known ? SEES_NOTHING : this.#known.snapshot;
  }

  /** Whether everything is listed; deletions are of no interest then. */
  get isReset(): boolean {
    return this.#isReset;
  }

  /** Where the next round begins. */
  get reached(): WatchPosition {
    if (!this.#reached) throw new TypeError('the round has read nothing');
    return this.#reached;
  }

  /** Before the records of the page are added. */
  read({ snapshot, epoch, reaches }: DeletionPage): void {
    this.#reached ??= { epoch, snapshot };
    if (this.#isReset || (reaches && epoch === this.#known?.epoch)) return;
    this.#isReset = true;
    this.#reached = { epoch, snapshot };
    this.take();
  }

  /** Yields the batches that are full. */
  *add(records: readonly WatchedRecord[]): Generator<WatchedRecord[]> {
    for (const record of records) {
      const bytes = record.value.byteLength + record.key.length + RECORD_BYTES;
      const isFull = this.#records.length === BATCH_RECORDS || this.#bytes + bytes > BATCH_BYTES;
      if (isFull && this.#records.length > 0) yield this.take();
      this.#records.push(record);
      this.#bytes += bytes;
    }
  }

  /** What is left. */
  take(): WatchedRecord[] {
    const records = this.#records;
    this.#records = [];
    this.#bytes = 0;
    return records;
  }

  /** True once, when the watcher has to forget what it knew. */
  takeReset(): boolean {
    const isNews = this.#isReset && !this.#isResetTold;
    this.#isResetTold ||= isNews;
    return isNews;
  }
}
