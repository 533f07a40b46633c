import type { Pool } from './pool.ts';
import { fromSqlError } from './sql-error.ts';

/** Soon there, and little memory. */
const FIRST_PAGE_ROWS = 1000;
/** Later pages are larger: what a filter matches is sorted anew for each. */
const LARGEST_PAGE = 8;

export interface PagedSelect {
  /** What to select; the columns of `order` among it, by these names. */
  readonly columns: string;
  readonly from: string;
  /** Its placeholders are `$1` and so on, for `parameters`. */
  readonly where: string;
  readonly parameters: readonly unknown[];
  /** Names of text columns that together name a row, the first one first, with their table's alias. */
  readonly order: readonly string[];
  /** Of the first page; later ones have up to eight times as many. */
  readonly pageRows?: number;
}

/**
 * Rows in byte order of what names them, page by page: a long list is never in memory as a whole, and holds no connection
 * while its reader is slow. Each page is a statement of its own, so a row that is made or removed meanwhile may or may
 * not be among them. The statements are not prepared: a filter makes texts without number.
 */
export async function* orderedPages<Row extends object>(
  pool: Pool,
  { columns, from, where, parameters, order, pageRows = FIRST_PAGE_ROWS }: PagedSelect,
): AsyncGenerator<Row[]> {
  const names = order.map((column) => `${column} COLLATE "C"`);
  let after: readonly string[] = [];
  for (let limit = pageRows; ; limit = Math.min(2 * limit, LARGEST_PAGE * pageRows)) {
    const values = [...parameters, ...after];
    const places = after.map((_, index) => `$${parameters.length + index + 1}`);
    const behind = places.length > 0 ? `AND (${names.join(', ')}) > (${places.join(', ')})` : '';
    const text = `SELECT ${columns} FROM ${from} WHERE ${where} ${behind} ORDER BY ${names.join(', ')} LIMIT ${limit}`;
    const rows = await select<Row>(pool, text, values);
    if (rows.length > 0) yield rows;
    const last = rows.at(-1) as Record<string, string> | undefined;
    if (!last || rows.length < limit) return;
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
