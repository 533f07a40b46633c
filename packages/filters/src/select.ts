import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Adaptor } from './adaptor.ts';
import type { Filter } from './filter.ts';

/** How long others wait at most, but for one object: a costly expression and a long value may take longer by themselves. */
const TURN_MS = 10;

/** The objects for which a filter holds. Others have their turn now and then, however many there are to look at. */
export async function* selectFrom<T>(
  filter: Filter,
  pages: AsyncIterable<readonly T[]>,
  adaptorOf: (object: T) => Adaptor,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<T> {
  let left = limit;
  let turnEnds = performance.now() + TURN_MS;
  for await (const page of pages) {
    for (const object of page) {
      if (filter.matchesAll || filter.matches(adaptorOf(object))) {
        yield object;
        left -= 1;
        if (left <= 0) return;
      }
      if (performance.now() < turnEnds) continue;
      await nextTurn();
      turnEnds = performance.now() + TURN_MS;
    }
  }
}

/** Of objects one by one, blocks of at most `size`. */
export async function* inBlocks<T>(objects: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let block: T[] = [];
  for await (const object of objects) {
    block.push(object);
    if (block.length < size) continue;
    yield block;
    block = [];
  }
  if (block.length > 0) yield block;
}
