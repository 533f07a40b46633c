import { invalidArgument } from '@longshore/errors';
import { listPartHeaders } from '@longshore/kit';
import type { RequestCall } from './request-call.ts';

export const DEFAULT_PAGE_ITEMS = 100;
/** Bounds what one answer takes in memory. */
const MAX_PAGE_ITEMS = 1000;

/** Of every list's query. */
export const pageQuery = {
  limit: {
    type: 'integer',
    minimum: 1,
    maximum: MAX_PAGE_ITEMS,
    default: DEFAULT_PAGE_ITEMS,
    description: 'Items of one answer.',
  },
  cursor: {
    type: 'string',
    maxLength: 8192,
    description: 'The `next_cursor` of the answer before; the other parameters must be the same.',
  },
} as const;

export interface PageQuery {
  limit: number;
  cursor?: string;
}

export interface Page<T> {
  items: T[];
  /** Null behind the last item. */
  next_cursor: string | null;
}

/** What names an item: lists are in its order, byte by byte, part by part. */
export type Key = readonly string[];

/** Throws InvalidArgument for what {@link toCursor} did not make of a key with so many parts. */
export function fromCursor(cursor: string | undefined, parts: number): Key | undefined {
  if (cursor === undefined) return undefined;
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (Array.isArray(key) && key.length === parts && key.every((part) => typeof part === 'string'))
      return key;
  } catch {
    // Said below.
  }
  throw invalidArgument('query parameter "cursor" is of no answer of this list');
}

/** A key in a form that is good for a URL and for nothing else. Items that come or go do not change what is behind it. */
export function toCursor(key: Key): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

/**
 * Has those who are asked for a list tell what this page can be made of: the item at the cursor may be there yet, and one more than the page
 * says that there is a next one. Who knows nothing of that tells all, which {@link pageOf} copes with. Throws InvalidArgument for a
 * cursor of another list.
 */
export function forPage<C extends RequestCall>(call: C, { limit, cursor }: PageQuery, parts = 1): C {
  const [from = ''] = fromCursor(cursor, parts) ?? [];
  return { ...call, headers: { ...call.headers, ...listPartHeaders({ from, limit: limit + 2 }) } };
}

/**
 * The page behind the cursor of items in any order, which are read to their end; at most four pages of them are held.
 * Throws InvalidArgument for a cursor of another list.
 */
export async function pageOf<T>(
  items: Iterable<T> | AsyncIterable<T>,
  keyOf: (item: T) => Key,
  { limit, cursor }: PageQuery,
  parts = 1,
): Promise<Page<T>> {
  const after = fromCursor(cursor, parts);
  const wanted = limit + 1;
  let held: { key: Key; item: T }[] = [];
  for await (const item of items) {
    const key = keyOf(item);
    if (after !== undefined && compareKeys(key, after) <= 0) continue;
    held.push({ key, item });
    if (held.length >= 4 * wanted) held = smallest(held, wanted);
  }
  const page = smallest(held, wanted);
  const last = page.length > limit ? page[limit - 1] : undefined;
  return {
    items: page.slice(0, limit).map(({ item }) => item),
    next_cursor: last ? toCursor(last.key) : null,
  };
}

export function compareKeys(a: Key, b: Key): number {
  for (const [index, part] of a.entries()) {
    const other = b[index] ?? '';
    if (part !== other) return Buffer.compare(Buffer.from(part), Buffer.from(other));
  }
  return 0;
}

function smallest<T>(held: { key: Key; item: T }[], count: number) {
  return held.sort((a, b) => compareKeys(a.key, b.key)).slice(0, count);
}
