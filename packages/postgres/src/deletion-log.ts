import type { Pool, Queryable } from './pool.ts';
import {
  type Cursor,
  changedSince,
  PAGE_ROWS,
  type PageRequest,
  type WatchedRecord,
} from './record-source.ts';
import { query } from './transaction.ts';

/** Removed in one statement: few enough for it to take well under a second. */
const PRUNE_ROWS = 5_000;
/** As migrations/0001_deletions.sql says: more than are open at the same time as the last one of a node. */
const HORIZON_SIZE = 20;

/**
 * The cluster, its timeline (a restored or promoted server begins another), the database, and the table, which is another one
 * when the schema was restored. And its statistics, which Postgres resets after a crash: transactions that did not wait for
 * the disk are lost then, and their numbers are used again.
 */
const EPOCH = `(SELECT system_identifier FROM pg_control_system()) || '.'
  || ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int || '.'
  || (SELECT oid FROM pg_database WHERE datname = current_database()) || '.' || 'deletions'::regclass::oid || '.'
  || (SELECT coalesce(extract(epoch FROM stats_reset) * 1000000, 0)::bigint FROM pg_stat_wal)`;

const HEAD = `SELECT head.*, gone.* FROM (
    SELECT pg_current_snapshot()::text AS snapshot, ${EPOCH} AS epoch,
      pg_snapshot_xmax($2::pg_snapshot) <= pg_snapshot_xmax(pg_current_snapshot()) AND NOT EXISTS (
        SELECT FROM deletion_horizons AS h, unnest(h.transactions) WITH ORDINALITY AS forgotten (xid, place)
        WHERE h.node = $1 AND (NOT pg_visible_in_snapshot(xid, $2::pg_snapshot)
          OR place = ${HORIZON_SIZE} AND xid >= pg_snapshot_xmin($2::pg_snapshot))
      ) AS reaches
  ) AS head LEFT JOIN LATERAL (
    SELECT d.revision, d.namespace, d.kind, d.key, d.changed FROM deletions AS d
    WHERE ${changedSince('d')} AND (d.changed, d.revision) > ($3::xid8, $4::bigint)
    ORDER BY d.changed, d.revision LIMIT ${PAGE_ROWS}
  ) AS gone ON true`;

const PRUNE = `WITH gone AS (
    DELETE FROM deletions WHERE revision IN (
      SELECT revision FROM deletions WHERE at < now() - $1 * interval '1 ms' LIMIT ${PRUNE_ROWS}
    ) RETURNING node, changed
  ), forgotten AS (
    INSERT INTO deletion_horizons AS h (node, transactions)
    SELECT node, ${newest('array_agg(changed)')} FROM gone GROUP BY node ORDER BY node
    ON CONFLICT (node) DO UPDATE SET transactions = ${newest('h.transactions || excluded.transactions')}
  )
  SELECT count(*) AS count FROM gone`;

function newest(transactions: string): string {
  return `ARRAY(SELECT DISTINCT xid FROM unnest(${transactions}) AS t (xid) ORDER BY xid DESC LIMIT ${HORIZON_SIZE})`;
}

interface HeadColumns {
  snapshot: string;
  epoch: string;
  reaches: boolean;
}
type HeadRow = HeadColumns & (Deletion | { revision: null });
interface Deletion {
  revision: bigint;
  namespace: string;
  kind: string;
  key: string;
  changed: string;
}

/** A page of deletions, and the state of the database that it was read from. */
export interface DeletionPage {
  readonly snapshot: string;
  readonly epoch: string;
  /** Whether every deletion that `since` does not see is still known. */
  readonly reaches: boolean;
  readonly records: readonly WatchedRecord[];
  readonly next: Cursor | undefined;
}

/** Reads the table `deletions`, which triggers write: see migrations/0001_deletions.sql. */
export async function deletionPage(
  db: Queryable,
  { node, since, after }: PageRequest,
): Promise<DeletionPage> {
  const rows = await query<HeadRow>(db, HEAD, [node, since, after?.changed ?? '0', after?.id ?? '0']);
  const { snapshot, epoch, reaches } = rows[0]!;
  const deletions = rows.filter((row) => row.revision !== null);
  const last = deletions.length === PAGE_ROWS ? deletions.at(-1) : undefined;
  return {
    snapshot,
    epoch,
    reaches,
    records: deletions.map(recordFrom),
    next: last && { changed: last.changed, id: String(last.revision) },
  };
}

/** Forgets deletions of a certain age; who has not heard of them lists anew. */
export async function pruneDeletions(pool: Pool, retentionMs: number): Promise<void> {
  for (;;) {
    const [pruned] = await query<{ count: bigint }>(pool, PRUNE, [retentionMs]);
    if (Number(pruned!.count) < PRUNE_ROWS) return;
  }
}

function recordFrom({ kind, namespace, key, revision }: Deletion): WatchedRecord {
  return { kind, namespace, key, revision, deleted: true, value: new Uint8Array(), deleting: false };
}
