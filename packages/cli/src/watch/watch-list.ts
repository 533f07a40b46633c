import type { Client } from '@longshore/client';
import { type ChangeSource, Changes } from './changes.ts';

/** A list that is looked at again and again. */
export interface Watched<T> {
  list(): Promise<Listed<T>>;
  keyOf(item: T): string;
  /** Two of the same text are the same. */
  textOf(item: T): string;
  /** Whether one like this is to be told of; one that was is told of until it is removed. Default: all are. */
  isShown?(item: T): boolean;
  /** The node that it is on: while that does not answer, nobody knows that something of it is gone. */
  nodeOf?(item: T): string;
}

export interface Listed<T> {
  items: readonly T[];
  /** Nodes that did not answer. */
  unreachable?: readonly string[];
}

export interface ListChange<T> {
  change: 'listed' | 'added' | 'changed' | 'removed';
  item: T;
}

export interface WatchStep<T> {
  /** All that are to be shown by now. */
  items: readonly T[];
  changes: readonly ListChange<T>[];
  unreachable: readonly string[];
}

/**
 * Those that there are, then those that have changed, each time that some may have; never an older state after a newer one. Changes are heard
 * before the list is asked for, and are a reason to ask again, no more: however many come meanwhile, once. Ends by its signal, with Canceled.
 */
export async function* watchList<T>(
  client: Client,
  watched: Watched<T>,
  source: ChangeSource,
): AsyncGenerator<WatchStep<T>> {
  const { isShown = () => true } = watched;
  const heard = await Changes.open(client, source);
  let known: ReadonlyMap<string, T> | undefined;
  for (;;) {
    heard.forget();
    const { items, unreachable = [] } = await watched.list();
    const shown = items.filter(isShown);
    const now = byKey(withUnknown(items, known, watched, unreachable), watched);
    const changes = known ? changesBetween(known, now, watched) : shown.map(listed);
    yield { items: shown, changes, unreachable };
    // Of what was told of, its end is told too.
    const told = [...now.values()].filter((item) => known?.has(watched.keyOf(item)) || isShown(item));
    known = byKey(told, watched);
    await heard.heard();
  }
}

function byKey<T>(items: Iterable<T>, { keyOf }: Watched<T>): Map<string, T> {
  return new Map(Array.from(items, (item) => [keyOf(item), item]));
}

/** With those that are on nodes which did not answer, as they were. */
function withUnknown<T>(
  items: readonly T[],
  known: ReadonlyMap<string, T> | undefined,
  { nodeOf }: Watched<T>,
  unreachable: readonly string[],
): T[] {
  if (!nodeOf || !known || unreachable.length === 0) return [...items];
  const kept = [...known.values()].filter((item) => unreachable.includes(nodeOf(item)));
  return [...kept, ...items];
}

function listed<T>(item: T): ListChange<T> {
  return { change: 'listed', item };
}

function changesBetween<T>(
  before: ReadonlyMap<string, T>,
  now: ReadonlyMap<string, T>,
  { isShown = () => true, textOf }: Watched<T>,
): ListChange<T>[] {
  const changes: ListChange<T>[] = [];
  for (const [key, item] of now) {
    const earlier = before.get(key);
    if (earlier !== undefined) {
      if (textOf(earlier) !== textOf(item)) changes.push({ change: 'changed', item });
    } else if (isShown(item)) {
      changes.push({ change: 'added', item });
    }
  }
  for (const [key, item] of before) if (!now.has(key)) changes.push({ change: 'removed', item });
  return changes;
}
