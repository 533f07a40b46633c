import { expect, it } from 'vitest';
import { timeoutOf } from './timeout.ts';

it('reads how long a caller waits', () => {
  const timeout = (value?: string) => timeoutOf(value === undefined ? {} : { 'grpc-timeout': value });
  expect(['2H', '3M', '5S', '100m', '1500u', '1n'].map(timeout)).toEqual([
    7_200_000, 180_000, 5_000, 100, 2, 1,
  ]);
  for (const endless of [undefined, '99999999H', '5', 'S', '123456789S', '5s'])
    expect(timeout(endless)).toBe(Number.POSITIVE_INFINITY);
});
