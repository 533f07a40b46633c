import { isDeepStrictEqual } from 'node:util';
import type { Scope } from '@longshore/kit';
import { type Pool, query } from '@longshore/postgres';
import type { CollectionMemory, KindCount, Mark } from '../../domain/collection.ts';

/** The log of deletions does not reach back for ever: an old census is replaced though nothing has changed. */
const CENSUS_AGE_MS = 60 * 60 * 1000;

const CHANGED_SINCE =
  'changed >= pg_snapshot_xmin($3::pg_snapshot) AND NOT pg_visible_in_snapshot(changed, $3::pg_snapshot)';

/** What collections saw, in the tables `collection_censuses` and `unreached`, and what the services log of deletions. */
export class PostgresCollectionMemory implements CollectionMemory {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async deletions(
    { namespace, node }: Scope,
    since: string,
    counts: readonly KindCount[],
  ): Promise<Map<string, number>> {
    const found = await Promise.all(
      counts.map(async ({ schema, kind }) => {
        const text = kind === 'lease' ? LEASE_DELETIONS : deletionsSql(schema);
        const values = kind === 'lease' ? [namespace, node, since] : [namespace, node, since, kind];
        const [row] = await query<{ deleted: bigint; is_forgotten: boolean }>(this.#pool, text, values);
        return [kind, row!.is_forgotten ? Number.POSITIVE_INFINITY : Number(row!.deleted)] as const;
      }),
    );
    return new Map(found);
  }

  async changed({ namespace, node }: Scope, since: string, { schema, kind }: KindCount): Promise<number> {
    const [row] = await query<{ count: bigint }>(
      this.#pool,
      `SELECT count(*) AS count FROM ${schema}.gc_objects
       WHERE namespace = $1 AND node = $2 AND kind = $4 AND ${CHANGED_SINCE}`,
      [namespace, node, since, kind],
    );
    return Number(row!.count);
  }

  async remember({ namespace, node }: Scope, mark: Mark): Promise<void> {
    const { snapshot, seen, before, hasLeftovers } = mark;
    const isKnown = before
      ? isDeepStrictEqual(before.seen, seen) && before.at.getTime() > Date.now() - CENSUS_AGE_MS
      : seen.length === 0;
    if (isKnown && !hasLeftovers) return;
    await query(this.#pool, 'SELECT remember_collection($1, $2, $3, $4)', [
      namespace,
      node,
      snapshot,
      JSON.stringify(seen),
    ]);
  }

  async rememberUnreached(scope: Scope, { candidates, unrooted, hasLeftovers }: Mark): Promise<void> {
    if (unrooted.length > 0 || (candidates.length === 0 && !hasLeftovers)) return;
    await query(
      this.#pool,
      `WITH given AS (
         SELECT * FROM unnest($3::text[], $4::text[], $5::uuid[]) AS g (kind, key, uid)
       ), reached AS (
         DELETE FROM unreached AS u WHERE namespace = $1 AND node = $2
           AND NOT EXISTS (SELECT FROM given AS g WHERE g.kind = u.kind AND g.key = u.key)
       )
       INSERT INTO unreached AS u (namespace, node, kind, key, uid) SELECT $1, $2, kind, key, uid FROM given
       ON CONFLICT (namespace, node, kind, key) DO UPDATE SET uid = excluded.uid, since = excluded.since
       WHERE u.uid <> excluded.uid`,
      [
        scope.namespace,
        scope.node,
        candidates.map(({ kind }) => kind),
        candidates.map(({ key }) => key),
        candidates.map(({ uid }) => uid),
      ],
    );
  }
}

/** As packages/postgres has it: the latest deletions of a node that are forgotten are still told apart. */
function deletionsSql(schema: string): string {
  return `SELECT count(*) AS deleted, EXISTS (
      SELECT FROM ${schema}.deletion_horizons AS h, unnest(h.transactions) AS forgotten (changed)
      WHERE h.node = $2 AND NOT pg_visible_in_snapshot(forgotten.changed, $3::pg_snapshot)
    ) AS is_forgotten
    FROM ${schema}.deletions WHERE namespace = $1 AND node = $2 AND kind = $4 AND ${CHANGED_SINCE}`;
}

const LEASE_DELETIONS = `SELECT count(*) AS deleted, false AS is_forgotten FROM lease_deletions
  WHERE namespace = $1 AND node = $2 AND ${CHANGED_SINCE}`;
