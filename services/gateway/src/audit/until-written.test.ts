import { describe, expect, it } from 'vitest';
import { UntilWritten } from './until-written.ts';

describe('what is written in the end', () => {
  it('is all of it, in order, when Postgres was away', async () => {
    const written: number[] = [];
    const errors: unknown[] = [];
    const items = new UntilWritten<number>({
      write: async (batch) => {
        if (errors.length < 2) throw new Error('away');
        written.push(...batch);
      },
      maxItems: 2,
      onError: (error) => errors.push(error),
    });
    for (const n of [1, 2, 3, 4, 5]) items.add(n);
    await expect.poll(() => items.size).toBe(0);
    expect(written).toEqual([1, 2, 3, 4, 5]);
    expect(errors).toHaveLength(2);
    items.add(6);
    await items.close();
    expect(written.at(-1)).toBe(6);
  });

  it('is tried once more at the end, and then given up', async () => {
    let tries = 0;
    const items = new UntilWritten<number>({
      write: async () => {
        tries++;
        throw new Error('away');
      },
      maxItems: 2,
      onError: () => undefined,
    });
    items.add(1);
    await items.close();
    expect([tries, items.size]).toEqual([1, 1]);
  });
});
