import { randomUUID } from 'node:crypto';
import { unavailable } from '@longshore/errors';
import { digestOf } from '@longshore/oci';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Claimed, SignedPaths, type SigningKeyStore } from './signed-paths.ts';

const MINUTE_MS = 60_000;
const name = { digest: digestOf('bytes'), generation: randomUUID() };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

function claimedBy(path: string): Claimed {
  const { searchParams } = new URL(path, 'https://content');
  return { ...name, expires: searchParams.get('expires')!, signature: searchParams.get('signature')! };
}

describe('SignedPaths', () => {
  it('knows its own signatures while the database is away, and lets them expire', async () => {
    let isAway = false;
    const store: SigningKeyStore = {
      async load(newKey) {
        if (isAway) throw unavailable('database: gone');
        return { keys: [newKey()], now: new Date() };
      },
    };
    const paths = new SignedPaths(store, 10 * MINUTE_MS);
    const claimed = claimedBy((await paths.sign(name)).path);
    isAway = true;
    vi.advanceTimersByTime(5 * MINUTE_MS);
    expect(await paths.verify(claimed)).toBe(true);
    expect(await paths.verify({ ...claimed, signature: 'AAAA' })).toBe(false);
    vi.advanceTimersByTime(6 * MINUTE_MS);
    expect(await paths.verify(claimed)).toBe(false);
    await expect(new SignedPaths(store, MINUTE_MS).verify(claimed)).rejects.toMatchObject({
      kind: 'Unavailable',
    });
  });
});
