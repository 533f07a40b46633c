import type { Scope } from '@longshore/kit';
import { lockScopeAlone, type Pool, query, transaction } from '@longshore/postgres';
import type {
  Candidate,
  CandidateReference,
  CollectionRecords,
  Mark,
  Removed,
} from '../../domain/collection.ts';
import type { LedTerm } from '../../domain/led-term.ts';
import { deleteRecords } from './collection-delete.ts';
import { candidatesSql, referencesSql, rescuedSql } from './collection-sql.ts';
import type { CollectionViews } from './collection-views.ts';

/** The records of all services, through the collection contract. */
export class CollectionRepository implements CollectionRecords {
  readonly #pool: Pool;
  readonly #views: CollectionViews;

  constructor(pool: Pool, views: CollectionViews) {
    this.#pool = pool;
    this.#views = views;
  }

  async mark({ namespace, node }: Scope): Promise<Mark> {
    const schemas = await this.#views.requireAll(this.#pool);
    return transaction(this.#pool, async (tx) => {
      // One snapshot for both statements, so that it is that of the mark.
      await tx.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
      const snapshot = await tx.query<{ snapshot: string }>('SELECT pg_current_snapshot()::text AS snapshot');
      const { rows } = await tx.query<Candidate & { is_marked: boolean }>(candidatesSql(schemas), [
        namespace,
        node,
      ]);
      const candidates = rows
        .filter((row) => !row.is_marked)
        .map(({ schema, kind, key, uid }): Candidate => ({ schema, kind, key, uid }));
      return { snapshot: snapshot.rows[0]!.snapshot, candidates, collectable: rows.length };
    });
  }

  async references(scope: Scope, candidates: readonly Candidate[]): Promise<CandidateReference[]> {
    const rows = await query<{ from: number; to: number }>(
      this.#pool,
      referencesSql(await this.#views.requireAll(this.#pool)),
      [scope.namespace, scope.node, candidates.map(({ kind }) => kind), candidates.map(({ key }) => key)],
    );
    return rows.map(({ from, to }) => ({ from: candidates[from - 1]!, to: candidates[to - 1]! }));
  }

  async sweep(
    scope: Scope,
    { snapshot }: Mark,
    batch: readonly Candidate[],
    term?: LedTerm,
  ): Promise<Removed[]> {
    const schemas = await this.#views.requireAll(this.#pool);
    return transaction(this.#pool, async (tx) => {
      await term?.check(tx);
      await lockScopeAlone(tx, scope);
      const { rows } = await tx.query<{ kind: string; key: string }>(rescuedSql(schemas), [
        scope.namespace,
        scope.node,
        snapshot,
      ]);
      const rescued = new Set(rows.map(nameOf));
      const doomed = batch.filter((candidate) => !rescued.has(nameOf(candidate)));
      return deleteRecords(tx, scope, doomed);
    });
  }
}

function nameOf({ kind, key }: { kind: string; key: string }): string {
  return `${kind}\n${key}`;
}
