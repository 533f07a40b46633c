import { describe, expect, it } from 'vitest';
import { RestartBackoff } from './restart-backoff.ts';

const TEN_MINUTES_MS = 600_000;

/** Delays before each start of a task that ends `ranMs` after each. */
function delays(count: number, ranMs: number): number[] {
  const backoff = new RestartBackoff({ intervalMs: 10_000, maxMs: 60_000 });
  const found: number[] = [];
  for (let endedAt = 0; found.length < count; ) {
    const delay = backoff.delayMs(endedAt);
    found.push(delay);
    backoff.started(endedAt + delay, endedAt);
    endedAt += delay + ranMs;
  }
  return found;
}

describe('RestartBackoff', () => {
  it('starts soon, then ever later, up to the most', () => {
    expect(delays(6, 5)).toEqual([100, 10_000, 20_000, 40_000, 60_000, 60_000]);
  });

  it('forgets what was before a task that ran for long', () => {
    expect(delays(3, TEN_MINUTES_MS)).toEqual([100, 100, 100]);
    expect(delays(3, TEN_MINUTES_MS - 1)).toEqual([100, 10_000, 20_000]);
  });
});
