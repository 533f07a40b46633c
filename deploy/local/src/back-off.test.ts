import { describe, expect, it } from 'vitest';
import { BackOff } from './back-off.ts';

describe('BackOff', () => {
  it('doubles from half a second to thirty seconds', () => {
    const backOff = new BackOff();
    const delays = Array.from({ length: 8 }, () => backOff.next(0));
    expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  });

  it('begins anew for what ran well', () => {
    const backOff = new BackOff();
    backOff.next(0);
    backOff.next(0);
    expect(backOff.next(30_000)).toBe(500);
    expect(backOff.next(0)).toBe(1000);
  });
});
