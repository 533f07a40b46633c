import { LongshoreError } from '@longshore/errors';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { CountedRefusal } from './audit-events.ts';
import { RefusalTally } from './refusal-tally.ts';

const denied = new LongshoreError('PermissionDenied', 'no');
const PLACE = { requestId: 'r', address: '10.0.0.1', action: 'a', namespace: 'n', node: '_' };

function startTally() {
  const told: CountedRefusal[] = [];
  const tally = new RefusalTally((counted) => told.push({ ...counted }));
  onTestFinished(() => tally.close());
  return { tally, told };
}

describe('refusals', () => {
  it('are told at once the first time, and counted until the window ends', () => {
    const { tally, told } = startTally();
    for (let n = 0; n < 500; n++) tally.add({ ...PLACE, caller: 'user/eve', error: denied });
    expect(told.map(({ count }) => count)).toEqual([1]);
    tally.endWindow();
    expect(told.map(({ count }) => count)).toEqual([1, 499]);
    expect(new Set(told.map(({ id }) => id)).size).toBe(2);
    tally.endWindow();
    tally.add({ ...PLACE, caller: 'user/eve', error: denied });
    expect(told.map(({ count }) => count)).toEqual([1, 499, 1]);
  });

  it('of others are told apart', () => {
    const { tally, told } = startTally();
    tally.add({ ...PLACE, caller: 'user/eve', error: denied });
    tally.add({ ...PLACE, caller: 'user/bob', error: denied });
    tally.add({ ...PLACE, caller: '', error: denied });
    tally.add({ ...PLACE, caller: '', address: '10.0.0.2', error: denied });
    expect(told).toHaveLength(4);
  });

  it('in a flood of callers are bounded, and none is left out', () => {
    const { tally, told } = startTally();
    for (let n = 0; n < 20_000; n++) tally.add({ ...PLACE, caller: `user/${n}`, error: denied });
    tally.endWindow();
    expect(told.length).toBeLessThanOrEqual(1_001);
    expect(told.reduce((sum, { count }) => sum + count, 0)).toBe(20_000);
  });
});
