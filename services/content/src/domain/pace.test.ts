import { performance } from 'node:perf_hooks';
import { describe, expect, it } from 'vitest';
import { Pace } from './pace.ts';

const never = new AbortController().signal;

async function timeOf(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

describe('Pace', () => {
  it('holds work back to its rate, and to a tenth of it while the process is busy', async () => {
    let isBusy = false;
    const pace = new Pace(10_000, () => isBusy);
    const twice = async () => {
      await pace.take(100, never);
      await pace.take(100, never);
    };
    expect(await timeOf(twice)).toBeGreaterThan(9);
    isBusy = true;
    expect(await timeOf(twice)).toBeGreaterThan(99);
  });

  it('holds nobody back who is to stop', async () => {
    const pace = new Pace(1);
    await pace.take(1000, never);
    expect(await timeOf(() => pace.take(1, AbortSignal.abort()))).toBeLessThan(900_000);
  });
});
