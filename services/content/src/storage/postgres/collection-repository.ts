import { setTimeout as delay } from 'node:timers/promises';
import { LongshoreError, unavailable } from '@longshore/errors';
import type { Scope } from '@longshore/kit';
import { lockScopeAlone, type Pool, query, transaction } from '@longshore/postgres';
import type {
  Candidate,
  CandidateReference,
  Changes,
  CollectionRecords,
  Mark,
  Removed,
  Swept,
} from '../../domain/collection.ts';
import type { LedTerm } from '../../domain/led-term.ts';
import { deleteRecords } from './collection-delete.ts';
import { type MarkRow, markFromRows } from './collection-mark.ts';
import { changesSql, markSql, referencesSql } from './collection-sql.ts';
import type { CollectionViews } from './collection-views.ts';

/** Whoever changes the scope next waits behind the collector: it gives up soon, lets them pass, and tries again. */
const LOCK_TIMEOUT_MS = 25;
const LOCK_DEADLINE_MS = 10_000;
const LOCK_PAUSE_MS = 20;
const LOCK_NOT_AVAILABLE = '55P03';
/** Of any view, since the mark or the last batch. */
const MAX_CHANGES = 20_000;

/** Of scopes with millions of records. A mark changes nothing and locks nothing, so nobody waits for it. */
const LONG_MARK_MS = 5 * 60 * 1000;
/** What a mark of a large scope may take in the server's memory: temporary files would hold up the syncs of those who write. */
const MARK_MEMORY = '128MB';
const MARK_SETTINGS = `SET LOCAL statement_timeout = ${LONG_MARK_MS}; SET LOCAL work_mem = '${MARK_MEMORY}';
  SET LOCAL cursor_tuple_fraction = 1`;
const PAGE_ROWS = 500;

interface ChangesRow {
  snapshot: string;
  is_whole: boolean;
  ids: string[];
}

/** The records of all services, through the collection contract. */
export class CollectionRepository implements CollectionRecords {
  readonly #pool: Pool;
  readonly #views: CollectionViews;

  constructor(pool: Pool, views: CollectionViews) {
    this.#pool = pool;
    this.#views = views;
  }

  mark({ namespace, node }: Scope, { force = false }: { force?: boolean | undefined } = {}): Promise<Mark> {
    return this.#views.withAll(this.#pool, async (schemas) =>
      markFromRows(await this.#rowsOf(markSql(schemas), [namespace, node, force])),
    );
  }

  async references(scope: Scope, candidates: readonly Candidate[]): Promise<CandidateReference[]> {
    const rows = await query<{ from: number; to: number }>(
      this.#pool,
      referencesSql(await this.#views.requireAll(this.#pool)),
      [scope.namespace, scope.node, candidates.map(({ kind }) => kind), candidates.map(({ key }) => key)],
    );
    return rows.map(({ from, to }) => ({ from: candidates[from - 1]!, to: candidates[to - 1]! }));
  }

  changes(scope: Scope, since: string): Promise<Changes> {
    return this.#changes(this.#pool, scope, since);
  }

  async sweep(
    scope: Scope,
    since: string,
    choose: (changed: readonly bigint[]) => readonly Candidate[],
    term?: LedTerm,
  ): Promise<Swept> {
    const deadline = performance.now() + LOCK_DEADLINE_MS;
    for (;;) {
      try {
        return await this.#sweepOnce(scope, since, choose, term);
      } catch (error) {
        if (!isCausedBy(error, LOCK_NOT_AVAILABLE) || performance.now() > deadline) throw error;
        await delay(LOCK_PAUSE_MS);
      }
    }
  }

  /** A page at a time: this process does nothing else while it reads what has come in. */
  #rowsOf(text: string, values: readonly unknown[]): Promise<MarkRow[]> {
    return transaction(this.#pool, async (tx) => {
      await tx.query(MARK_SETTINGS);
      await tx.query(`DECLARE page_source NO SCROLL CURSOR FOR ${text}`, [...values]);
      const all: MarkRow[] = [];
      for (;;) {
        const fetch = { text: `FETCH ${PAGE_ROWS} FROM page_source`, query_timeout: LONG_MARK_MS };
        const { rows } = await tx.query<MarkRow>(fetch);
        for (const row of rows) all.push(row);
        if (rows.length < PAGE_ROWS) return all;
      }
    });
  }

  async #sweepOnce(
    scope: Scope,
    since: string,
    choose: (changed: readonly bigint[]) => readonly Candidate[],
    term: LedTerm | undefined,
  ): Promise<Swept> {
    let lockedAt = 0;
    const swept = await transaction(this.#pool, async (tx) => {
      await term?.check(tx);
      await tx.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
      await lockScopeAlone(tx, scope);
      lockedAt = performance.now();
      const { ids, snapshot } = await this.#changes(tx, scope, since);
      const doomed = choose(ids);
      const removed: Removed[] = doomed.length > 0 ? await deleteRecords(tx, scope, doomed) : [];
      return { removed, snapshot };
    });
    return { ...swept, heldMs: performance.now() - lockedAt };
  }

  async #changes(db: Pick<Pool, 'query'>, { namespace, node }: Scope, since: string): Promise<Changes> {
    const schemas = await this.#views.requireAll(this.#pool);
    const [row] = await query<ChangesRow>(db, changesSql(schemas), [namespace, node, since, MAX_CHANGES]);
    const { snapshot, is_whole, ids } = row!;
    if (!is_whole) throw unavailable(`garbage collection: more than ${MAX_CHANGES} changes since the mark`);
    return { snapshot, ids: ids.map(BigInt) };
  }
}

function isCausedBy(error: unknown, state: string): boolean {
  if (!(error instanceof LongshoreError)) return false;
  return (error.cause as { code?: string } | undefined)?.code === state;
}
