import { describe, expect, it } from 'vitest';
import { merge } from './merge.ts';

async function* numbers(from: number, to: number) {
  for (let n = from; n <= to; n++) yield n;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const LIMITS = { concurrency: 2, buffered: 3 };

describe('merge', () => {
  it('gives every item of every source, and ends', async () => {
    const sources = [numbers(1, 20), numbers(21, 21), numbers(1, 0), numbers(22, 60)];
    const all = await collect(merge(sources, LIMITS));
    expect(all.sort((a, b) => a - b)).toEqual(await collect(numbers(1, 60)));
    expect(await collect(merge([], LIMITS))).toEqual([]);
  });

  it('does not wait for a slow source to give what the others have', async () => {
    const { promise, resolve } = Promise.withResolvers<number>();
    const slow = (async function* () {
      yield await promise;
    })();
    const merged = merge([slow, numbers(1, 2), numbers(3, 4)], LIMITS);
    for (const expected of [1, 2, 3, 4]) expect((await merged.next()).value).toBe(expected);
    resolve(5);
    expect(await collect(merged)).toEqual([5]);
  });

  it('reads no more than the reader takes, from no more sources than allowed', async () => {
    let read = 0;
    let open = 0;
    async function* endless() {
      open++;
      try {
        for (;;) {
          read++;
          yield read;
        }
      } finally {
        open--;
      }
    }
    const merged = merge([endless(), endless(), endless()], LIMITS);
    for (let taken = 1; taken <= 20; taken++) {
      await merged.next();
      expect(read - taken).toBeLessThanOrEqual(LIMITS.buffered + LIMITS.concurrency);
    }
    expect(open).toBe(2);
    await merged.return(undefined);
    await expect.poll(() => open).toBe(0);
  });

  it('fails when a source does', async () => {
    const failing = (async function* () {
      yield 1;
      throw new Error('broken');
    })();
    await expect(collect(merge([failing, numbers(2, 3)], LIMITS))).rejects.toThrow('broken');
  });
});
