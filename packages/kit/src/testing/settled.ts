import { expect, vi } from 'vitest';

/** Waits until a number has not changed for a quarter of a second. */
export async function settled(count: () => number): Promise<void> {
  let last = -1;
  await vi.waitFor(
    () => {
      const before = last;
      last = count();
      expect(last).toBe(before);
    },
    { interval: 250, timeout: 10_000 },
  );
}
