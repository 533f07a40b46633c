import { unavailable } from '@longshore/errors';
import { createLogger } from '@longshore/kit';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AccessDirectory } from './access-directory.ts';
import type { RoleBinding } from './role.ts';

const alice = { kind: 'certificate', name: 'user/alice', groups: [] } as const;
const HERS: RoleBinding = { subject: 'user/alice', namespace: 'a', role: 'viewer' };

class Rows {
  current: RoleBinding[] = [];
  isAway = false;
  asked = 0;
  #version = 0n;

  change(bindings: RoleBinding[]): void {
    this.current = bindings;
    this.#version += 1n;
  }

  async version(): Promise<bigint> {
    this.asked++;
    if (this.isAway) throw unavailable('database: away');
    return this.#version;
  }

  async load() {
    return { version: await this.version(), tokens: [], bindings: this.current };
  }
}

let rows: Rows;
let directory: AccessDirectory;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
  rows = new Rows();
  const log = createLogger('test', 'silent');
  directory = await AccessDirectory.open({ repository: rows, maxAgeMs: 60_000, log });
});
afterEach(() => {
  directory.close();
  vi.useRealTimers();
});

async function reads(): Promise<boolean> {
  return (await directory.current()).grants.allows(alice, 'read', 'a');
}

describe('AccessDirectory', () => {
  it('hears of what others change within seconds, and asks for one row only', async () => {
    rows.change([HERS]);
    expect(await reads()).toBe(false);
    await vi.advanceTimersByTimeAsync(2_100);
    expect(await reads()).toBe(true);
    const before = rows.asked;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(rows.asked - before).toBe(10);
    rows.change([]);
    await vi.advanceTimersByTimeAsync(2_100);
    expect(await reads()).toBe(false);
  });

  it('asks again at once for who would be refused, however many are, a few times a second', async () => {
    rows.change([HERS]);
    const before = rows.asked;
    const all = Promise.all(Array.from({ length: 500 }, () => directory.newest()));
    await vi.advanceTimersByTimeAsync(500);
    expect((await all).every(({ grants }) => grants.allows(alice, 'read', 'a'))).toBe(true);
    expect(rows.asked - before).toBeLessThan(10);
  });

  it('goes on by what it knew while the database is away, for its time, and is shut then', async () => {
    rows.change([HERS]);
    await vi.advanceTimersByTimeAsync(2_100);
    rows.isAway = true;
    await vi.advanceTimersByTimeAsync(55_000);
    expect(await reads()).toBe(true);
    await vi.advanceTimersByTimeAsync(10_000);
    const refused = expect(directory.current()).rejects.toThrow(
      /^access: the database is away.*unavailable$/,
    );
    await vi.advanceTimersByTimeAsync(2_500);
    await refused;
    rows.isAway = false;
    await vi.advanceTimersByTimeAsync(2_100);
    expect(await reads()).toBe(true);
  });
});
