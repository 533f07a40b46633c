import type { Client } from '@longshore/client';
import { containerDocument } from './container-view.ts';
import type { ContainerList, ListedContainer } from './containers.ts';

export interface Watched {
  list(): Promise<ContainerList>;
  /** Whether one like this is to be told of; one that was is told of until it is removed. */
  isShown(item: ListedContainer): boolean;
}

export interface WatchOptions {
  allNamespaces: boolean | undefined;
  signal: AbortSignal;
}

const FILTERS = ['topic~="^/(containers|tasks)/"'];

/**
 * Those that there are, then those that have changed, each time that some have; never an older state after a newer one. Events are heard
 * before the list is asked for, and are a reason to ask again, no more: however many come meanwhile, once.
 */
export async function* watchContainers(
  client: Client,
  watched: Watched,
  { allNamespaces, signal }: WatchOptions,
): AsyncGenerator<ContainerList> {
  using events = await client.events.open({ filters: FILTERS, allNamespaces, signal });
  let something = Promise.withResolvers<void>();
  const end = (async () => {
    for await (const _ of events) something.resolve();
  })();
  end.catch(() => undefined);
  let known = new Map<string, ListedContainer>();
  for (let isFirst = true; ; isFirst = false) {
    something = Promise.withResolvers();
    const { items, unreachable } = await watched.list();
    const now = new Map(items.map((item) => [keyOf(item), item]));
    const changes = changesBetween(known, now, watched);
    if (isFirst || changes.length > 0) yield { items: changes, unreachable };
    // Of what was told of, its end is told too.
    known = new Map([...now].filter(([key, item]) => known.has(key) || watched.isShown(item)));
    await Promise.race([something.promise, end]);
  }
}

function changesBetween(
  before: ReadonlyMap<string, ListedContainer>,
  now: ReadonlyMap<string, ListedContainer>,
  { isShown }: Watched,
): ListedContainer[] {
  const changed = [...now].filter(([key, item]) => {
    const earlier = before.get(key);
    return earlier ? textOf(earlier) !== textOf(item) : isShown(item);
  });
  const removed = [...before].filter(([key]) => !now.has(key));
  return [
    ...changed.map(([, item]) => item),
    ...removed.map(([, item]): ListedContainer => ({ ...item, status: 'removed' })),
  ];
}

function keyOf({ namespace, node, record }: ListedContainer): string {
  return `${namespace}/${node}/${record.id}`;
}

function textOf(item: ListedContainer): string {
  return JSON.stringify(containerDocument(item));
}
