import type { Queryable } from './pool.ts';
import { query } from './transaction.ts';

/** One thing of a node's scope, or, when deleted, the place where it was: a `longshore.watch.v1.Record`. */
export interface WatchedRecord {
  readonly kind: string;
  readonly namespace: string;
  readonly key: string;
  readonly revision: bigint;
  readonly deleted: boolean;
  readonly value: Uint8Array;
  readonly deleting: boolean;
}

/** The last row of a page. */
export interface Cursor {
  readonly changed: string;
  readonly id: string;
}

/** Of each page's rows; more than one only while many changes have piled up, or everything is listed. */
export const PAGE_ROWS = 500;

export interface PageRequest {
  readonly node: string;
  /** A `pg_snapshot`: what it sees is known. */
  readonly since: string;
  readonly after: Cursor | undefined;
}

export interface RecordPage {
  readonly records: readonly WatchedRecord[];
  /** Goes on behind this page; `undefined` at the end. */
  readonly next: Cursor | undefined;
}

/** Where the records of one kind are. */
export interface RecordSource {
  page(db: Queryable, request: PageRequest): Promise<RecordPage>;
}

/** A table of records of nodes. It has the columns `uid`, `node`, and `changed`, which every change of a row sets. */
export interface RecordTable<Row extends object, Item> {
  /** What to select, for `itemOf`. */
  readonly columns: string;
  readonly from: string;
  /** What `from` calls the table. */
  readonly alias: string;
  /** Fewer than {@link PAGE_ROWS} where rows may be large. */
  readonly pageRows?: number;
  itemOf(row: Row): Item;
}

interface PageColumns {
  page_changed: string;
  page_uid: string;
}

/**
 * Reads a table in the order of changes. Each page is a statement of its own: a row that changes between two of them moves
 * behind the second, so that a listing misses nothing and holds no transaction open.
 */
export function recordSource<Row extends object, Item>(
  table: RecordTable<Row, Item>,
  recordOf: (item: Item) => WatchedRecord,
): RecordSource {
  const { columns, from, alias, pageRows = PAGE_ROWS } = table;
  const text = `SELECT ${columns}, ${alias}.changed AS page_changed, ${alias}.uid AS page_uid FROM ${from}
    WHERE ${changedSince(alias)} AND (${alias}.changed, ${alias}.uid) > ($3::xid8, $4::uuid)
    ORDER BY ${alias}.changed, ${alias}.uid LIMIT ${pageRows}`;
  return {
    async page(db, { node, since, after }) {
      const rows = await query<Row & PageColumns>(db, text, [
        node,
        since,
        after?.changed ?? '0',
        after?.id ?? '00000000-0000-0000-0000-000000000000',
      ]);
      const last = rows.length === pageRows ? rows.at(-1) : undefined;
      return {
        records: rows.map((row) => recordOf(table.itemOf(row))),
        next: last && { changed: last.page_changed, id: last.page_uid },
      };
    },
  };
}

/** Rows of a node (parameter 1) that a snapshot (parameter 2) does not see as they are; the index begins at its xmin. */
export function changedSince(alias: string): string {
  return `${alias}.node = $1 AND ${alias}.changed >= pg_snapshot_xmin($2::pg_snapshot)
    AND NOT pg_visible_in_snapshot(${alias}.changed, $2::pg_snapshot)`;
}
