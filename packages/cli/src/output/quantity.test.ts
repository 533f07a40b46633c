import { describe, expect, it } from 'vitest';
import { ageText, durationText, sizeText, timeOf } from './quantity.ts';

describe('sizeText', () => {
  it.each([
    [0, '0B'],
    [999, '999B'],
    [1_000, '1.00kB'],
    [999_499, '999kB'],
    [999_500, '1.00MB'],
    [12_345_678, '12.3MB'],
    [5n * 10n ** 12n, '5.00TB'],
  ])('%d is %s', (bytes, text) => expect(sizeText(bytes)).toBe(text));
});

describe('durationText', () => {
  it.each([
    [0, 'less than a second'],
    [1_000, '1 second'],
    [119_000, '119 seconds'],
    [120_000, '2 minutes'],
    [25 * 3_600_000, '25 hours'],
    [3 * 86_400_000, '3 days'],
    [800 * 86_400_000, '2 years'],
  ])('%d ms are %s', (ms, text) => expect(durationText(ms)).toBe(text));
});

describe('times', () => {
  const zeroOfGo = { seconds: -62_135_596_800n, nanos: 0 };

  it('keep their precision, and are null where there is none', () => {
    expect(timeOf({ seconds: 1_700_000_000n, nanos: 120_000_000 })).toBe('2023-11-14T22:13:20.12Z');
    expect(timeOf({ seconds: 1_700_000_000n, nanos: 0 })).toBe('2023-11-14T22:13:20Z');
    expect([timeOf(undefined), timeOf(zeroOfGo)]).toEqual([null, null]);
  });

  it('have no age where there is none', () => {
    expect(ageText(undefined)).toBe('');
    expect(ageText({ $typeName: 'google.protobuf.Timestamp', ...zeroOfGo })).toBe('');
  });
});
