import { messageOf } from '@longshore/errors';
import { type DeletionPage, deletionPage, pruneDeletions } from './deletion-log.ts';
import type { Pool } from './pool.ts';
import type { Cursor, PageRequest, RecordPage, RecordSource, WatchedRecord } from './record-source.ts';
import { ScopeChanges } from './scope-changes.ts';
import { Turns } from './turns.ts';
import { formatPosition, parsePosition } from './watch-position.ts';
import { WatchRound } from './watch-round.ts';

/** Connections that all watchers together use at a time: a thousand that list anew leave the others to the calls. */
const QUERIES_AT_ONCE = 2;
const PRUNE_INTERVAL_MS = 60_000;

/** A `longshore.watch.v1.WatchResponse`. */
export interface RecordBatch {
  records: WatchedRecord[];
  position: string;
  synced: boolean;
  reset: boolean;
}

export interface RecordWatchOptions {
  schema: string;
  sources: readonly RecordSource[];
  /** How long a deletion is remembered: a watcher that was away for longer may have to list anew. */
  retentionMs: number;
  log: { warn(fields: object, message: string): void };
}

/**
 * Tells watchers of the records of their nodes. A position is the database's own snapshot of what was committed, so that a
 * transaction which began before and commits after is not missed. A watcher without changes costs nothing.
 */
export class RecordWatch {
  readonly #pool: Pool;
  readonly #options: RecordWatchOptions;
  readonly #changes: ScopeChanges;
  readonly #turns = new Turns(QUERIES_AT_ONCE);
  readonly #timer: NodeJS.Timeout;

  constructor(pool: Pool, options: RecordWatchOptions) {
    this.#pool = pool;
    this.#options = options;
    this.#changes = new ScopeChanges(pool, options.schema);
    this.#timer = setInterval(() => this.#prune(), PRUNE_INTERVAL_MS).unref();
  }

  /**
   * Yields what the position has not heard of, until `synced`, and then what changes; everything, with `reset` first, when
   * the position is empty or reaches too far back, or is another database's. Throws Unavailable when the connection is lost.
   */
  async *watch(node: string, position: string, signal: AbortSignal): AsyncGenerator<RecordBatch> {
    let known = parsePosition(position);
    let isSynced = false;
    for await (const _ of this.#changes.watch(node, signal)) {
      const round = new WatchRound(known);
      for await (const records of this.#records(node, round)) {
        yield { records, position: '', synced: false, reset: round.takeReset() };
      }
      known = round.reached;
      const records = round.take();
      const reset = round.takeReset();
      if (isSynced && records.length === 0 && !round.isReset) continue;
      yield { records, position: formatPosition(known), synced: true, reset };
      isSynced = true;
    }
  }

  /** Ends every watch. */
  close(): void {
    clearInterval(this.#timer);
    this.#changes.close();
  }

  /** Full batches; what remains stays in the round. */
  async *#records(node: string, round: WatchRound): AsyncGenerator<WatchedRecord[]> {
    let after: Cursor | undefined;
    do {
      const request: PageRequest = { node, since: round.since, after };
      const page: DeletionPage = await this.#turns.take(() => deletionPage(this.#pool, request));
      round.read(page);
      if (round.isReset) break;
      yield* round.add(page.records);
      after = page.next;
    } while (after);
    for (const source of this.#options.sources) {
      after = undefined;
      do {
        const request: PageRequest = { node, since: round.since, after };
        const page: RecordPage = await this.#turns.take(() => source.page(this.#pool, request));
        yield* round.add(page.records);
        after = page.next;
      } while (after);
    }
  }

  #prune(): void {
    const { retentionMs, log } = this.#options;
    pruneDeletions(this.#pool, retentionMs).catch((error) => {
      log.warn({ error: messageOf(error) }, 'could not forget old deletions; will try again');
    });
  }
}
