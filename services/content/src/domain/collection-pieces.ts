import { setImmediate } from 'node:timers/promises';

/** Handled within a few milliseconds, also by a process that is cold. */
const PIECE_SIZE = 1000;

/** Gives many items in pieces, with the places where they begin, and lets calls be answered in between. */
export async function* inPieces<T>(items: readonly T[]): AsyncIterable<[start: number, piece: readonly T[]]> {
  for (let start = 0; start < items.length; start += PIECE_SIZE) {
    if (start > 0) await setImmediate();
    yield [start, items.slice(start, start + PIECE_SIZE)];
  }
}
