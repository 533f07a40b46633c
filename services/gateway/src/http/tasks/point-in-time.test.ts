import { describe, expect, it } from 'vitest';
import { nanosecondsOf, pointInTime } from './point-in-time.ts';

const NOW_MS = Date.parse('2026-11-23T10:00:00Z');

describe('pointInTime', () => {
  it.each([
    ['2026-11-23T09:00:00.123456789Z', 1795424400123456789n],
    ['2026-11-23T10:00:00+01:00', 1795424400000000000n],
    ['1795424400', 1795424400000000000n],
    ['1795424400.5', 1795424400500000000n],
    ['1h', 1795424400000000000n],
    ['59m60s', 1795424400000000000n],
    ['500ms', 1795427999500000000n],
    ['30000d', 0n],
  ])('takes %s', (text, ns) => {
    expect(nanosecondsOf(pointInTime(text, 'since', NOW_MS))).toBe(ns);
  });

  it.each(['', 'yesterday', '1h ago', '2026-11-23', '-1', '1795424400.', '1w'])('refuses %j', (text) => {
    expect(() => pointInTime(text, 'since', NOW_MS)).toThrow(
      expect.objectContaining({ kind: 'InvalidArgument' }),
    );
  });
});
