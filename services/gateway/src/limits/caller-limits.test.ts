import { describe, expect, it } from 'vitest';
import type { Caller } from '../access/caller.ts';
import { CallerLimits } from './caller-limits.ts';

const callerOf = (name: string, kind: Caller['kind'] = 'token'): Caller => ({ kind, name, groups: [] });

function refusedOf(results: PromiseSettledResult<unknown>[]) {
  return results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
}

describe('what one caller may ask', () => {
  it('is so many calls in a second, which others do not feel', async () => {
    const limits = new CallerLimits({ callsPerSecond: 5, callsAtOnce: 100 });
    const admit = (name: string) => limits.admit(callerOf(name));
    const refused = refusedOf(await Promise.allSettled(Array.from({ length: 8 }, () => admit('a'))));
    expect(refused).toHaveLength(3);
    expect(refused[0]).toMatchObject({ kind: 'ResourceExhausted' });
    expect(refused[0].retryAfterMs).toBeGreaterThan(0);
    await admit('b');
  });

  it('is so many calls at once, until some have ended', async () => {
    const limits = new CallerLimits({ callsPerSecond: 100, callsAtOnce: 2 });
    const admit = (name: string) => limits.admit(callerOf(name));
    const [first] = await Promise.all([admit('a'), admit('a')]);
    await expect(admit('a')).rejects.toMatchObject({ kind: 'ResourceExhausted' });
    await admit('b');
    first?.();
    await admit('a');
    await expect(admit('a')).rejects.toMatchObject({ kind: 'ResourceExhausted' });
  });

  it('is anything for those on the socket of the gateway', async () => {
    const limits = new CallerLimits({ callsPerSecond: 1, callsAtOnce: 1 });
    const all = Array.from({ length: 20 }, () => limits.admit(callerOf('local', 'local')));
    expect(refusedOf(await Promise.allSettled(all))).toEqual([]);
  });
});
