import type { Pool } from './pool.ts';
import { fromSqlError } from './sql-error.ts';

/** A few milliseconds of Postgres' time, and little memory even where rows are large. */
const PAGE_ROWS = 1000;

export interface PagedSelect {
  /** What to select; the columns of `order` among it, by these names. */
  readonly columns: string;
  readonly from: string;
  /** Its placeholders are `$1` and so on, for `parameters`. */
  readonly where: string;
  readonly parameters: readonly unknown[];
  /** Names of text columns that together name a row, the first one first, with their table's alias. */
  readonly order: readonly string[];
  readonly pageRows?: number;
}

/**
 * Rows in byte order of what names them, page by page: a long list is never in memory as a whole, and holds no connection
 * while its reader is slow. Each page is a statement of its own, so a row that is made or removed meanwhile may or may
 * not be among them. The statements are not prepared: a filter makes texts without number.
 */
export async function* orderedPages<Row extends object>(
  pool: Pool,
  { columns, from, where, parameters, order, pageRows = PAGE_ROWS }: PagedSelect,
): AsyncGenerator<Row[]> {
  const names = order.map((column) => `${column} COLLATE "C"`);
  let after: readonly string[] = [];
  for (;;) {
    const values = [...parameters, ...after];
    const places = after.map((_, index) => `$${parameters.length + index + 1}`);
    const behind = places.length > 0 ? `AND (${names.join(', ')}) > (${places.join(', ')})` : '';
    const text = `SELECT ${columns} FROM ${from} WHERE ${where} ${behind} ORDER BY ${names.join(', ')} LIMIT ${pageRows}`;
    const rows = await select<Row>(pool, text, values);
    if (rows.length > 0) yield rows;
    const last = rows.at(-1) as Record<string, string> | undefined;
    if (!last || rows.length < pageRows) return;
    after = order.map((column) => last[column.slice(column.indexOf('.') + 1)]!);
  }
}

async function select<Row extends object>(pool: Pool, text: string, values: unknown[]): Promise<Row[]> {
  try {
    return (await pool.query<Row & Record<string, unknown>>({ text, values })).rows;
  } catch (error) {
    throw fromSqlError(error);
  }
}
