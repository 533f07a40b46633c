import { Term } from '@longshore/postgres';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Partitions } from './partitions.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'Date'] });
});

afterEach(() => {
  vi.useRealTimers();
});

describe('Partitions', () => {
  it('are compared with the stream before they are ready', () => {
    const partitions = new Partitions();
    for (const partition of [3, 5]) partitions.lead(partition, new Term(`${partition}`, 1n));
    expect(partitions.unsure).toEqual([3, 5]);
    partitions.settle([3]);
    expect(partitions.ready).toEqual([3]);
    expect(partitions.led).toEqual([3, 5]);
    partitions.doubtAll();
    expect(partitions.unsure).toEqual([3, 5]);
  });

  it('stop for longer with every failure in a row, and are unsure afterwards', () => {
    const partitions = new Partitions();
    partitions.lead(1, new Term('1', 1n));
    partitions.settle([1]);
    partitions.stop(1);
    expect(partitions.ready).toEqual([]);
    const first = partitions.nextRetryMs;
    expect(first).toBeGreaterThan(0);
    expect(partitions.unsure).toEqual([]);
    // Whatever the machine's clock says.
    vi.setSystemTime(0);
    vi.advanceTimersByTime(first);
    expect(partitions.unsure).toEqual([1]);
    for (let failure = 0; failure < 10; failure++) partitions.stop(1);
    expect(partitions.nextRetryMs).toBeGreaterThanOrEqual(1000);
    expect(partitions.nextRetryMs).toBeLessThanOrEqual(2000);
  });

  it('count no more once their term is over by the clock, also when no timer has told them', () => {
    const partitions = new Partitions();
    const term = new Term('7', 1n);
    term.endIn(1000);
    partitions.lead(7, term);
    partitions.settle([7]);
    expect(partitions.isLed(7)).toBe(true);
    const now = performance.now();
    vi.spyOn(performance, 'now').mockReturnValue(now + 1000);
    expect(partitions.isLed(7)).toBe(false);
    expect([...partitions.led, ...partitions.ready]).toEqual([]);
  });
});
