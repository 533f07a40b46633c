import type { Pool } from './pool.ts';
import { fromSqlError } from './sql-error.ts';

/** Soon there, and little memory. */
const FIRST_PAGE_ROWS = 1000;
/** Later pages are larger: what a filter matches is sorted anew for each. */
const LARGEST_PAGE = 8;
/** A filter may leave most of a page out. */
const LEAST_PAGE_ROWS = 100;

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
  /** What is wanted: the first one from which name in the first column of `order` on, and about how many. */
  readonly part?: { readonly from: string; readonly limit: number };
}

/**
 * Rows in byte order of what names them, page by page: a long list is never in memory as a whole, and holds no connection
 * while its reader is slow. Each page is a statement of its own, so a row that is made or removed meanwhile may or may
 * not be among them. The statements are not prepared: a filter makes texts without number.
 */
export async function* orderedPages<Row extends object>(
  pool: Pool,
  { columns, from, where, parameters, order, part, pageRows = rowsFor(part) }: PagedSelect,
): AsyncGenerator<Row[]> {
  const names = order.map((column) => `${column} COLLATE "C"`);
  let after: readonly string[] = [];
  const first = part?.from ? [part.from] : [];
  for (let limit = pageRows; ; limit = Math.min(2 * limit, LARGEST_PAGE * pageRows)) {
    const values = [...parameters, ...(after.length > 0 ? after : first)];
    const places = values.slice(parameters.length).map((_, index) => `$${parameters.length + index + 1}`);
    const place =
      after.length > 0 ? `(${names.join(', ')}) > (${places.join(', ')})` : `${names[0]} >= ${places[0]}`;
    const behind = places.length > 0 ? `AND ${place}` : '';
    const text = `SELECT ${columns} FROM ${from} WHERE ${where} ${behind} ORDER BY ${names.join(', ')} LIMIT ${limit}`;
    const rows = await select<Row>(pool, text, values);
    if (rows.length > 0) yield rows;
    const last = rows.at(-1) as Record<string, string> | undefined;
    if (!last || rows.length < limit) return;
    after = order.map((column) => last[column.slice(column.indexOf('.') + 1)]!);
  }
}

function rowsFor(part: PagedSelect['part']): number {
  const wanted = part?.limit ?? FIRST_PAGE_ROWS;
  return Math.min(Math.max(wanted, LEAST_PAGE_ROWS), FIRST_PAGE_ROWS);
}

async function select<Row extends object>(pool: Pool, text: string, values: unknown[]): Promise<Row[]> {
  try {
    return (await pool.query<Row & Record<string, unknown>>({ text, values })).rows;
  } catch (error) {
    throw fromSqlError(error);
  }
}
