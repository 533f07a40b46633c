import { invalidArgument } from '@longshore/errors';

/** Bounds what one answer takes in memory. */
export const MAX_ACCESS_ITEMS = 1000;

/** Which of a list of tokens or bindings. */
export interface AccessPage {
  /** Undefined: of all. */
  namespace?: string | undefined;
  /** Of the answer before. */
  cursor?: string | undefined;
  /** Default, and at most: {@link MAX_ACCESS_ITEMS}. */
  limit?: number | undefined;
}

export interface AccessListed<T> {
  items: T[];
  /** Undefined behind the last one. */
  cursor: string | undefined;
}

export interface AccessList<T> {
  /** The key is that of the last item of the page before; empty for the first page. */
  list(after: readonly string[], limit: number): Promise<T[]>;
  keyOf(item: T): readonly string[];
}

/** Throws InvalidArgument for a cursor of another list, or a limit that is none. */
export async function pageOf<T>(
  { cursor, limit = MAX_ACCESS_ITEMS }: AccessPage,
  parts: number,
  { list, keyOf }: AccessList<T>,
): Promise<AccessListed<T>> {
  if (!(limit >= 1 && limit <= MAX_ACCESS_ITEMS)) {
    throw invalidArgument(`page size ${limit}: want 1 to ${MAX_ACCESS_ITEMS}`);
  }
  const items = await list(cursor ? keyIn(cursor, parts) : [], limit + 1);
  const last = items.length > limit ? items[limit - 1] : undefined;
  const next = last && Buffer.from(JSON.stringify(keyOf(last))).toString('base64url');
  return { items: items.slice(0, limit), cursor: next };
}

/** Throws InvalidArgument for a part of a cursor that is no time. */
export function timeIn(part: string): string {
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(part) && !Number.isNaN(Date.parse(part))) return part;
  throw noCursor();
}

function keyIn(cursor: string, parts: number): readonly string[] {
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    const isKey = Array.isArray(key) && key.length === parts;
    if (isKey && key.every((part) => typeof part === 'string' && part !== '' && !part.includes('\0')))
      return key;
  } catch {
    // Said below.
  }
  throw noCursor();
}

function noCursor(): Error {
  return invalidArgument('page token: it is of no answer of this list');
}
