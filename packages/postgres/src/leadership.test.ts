import { type ChildProcess, fork } from 'node:child_process';
import { isKind } from '@longshore/errors';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Leadership, type LedWork } from './leadership.ts';
import { migrate } from './migrate.ts';
import { openPool, type Pool } from './pool.ts';
import { checkTerms, type Term } from './term.ts';
import { untilSomebodyWaits } from './testing/blocked.ts';
import { createTestDatabase, type TestDatabase } from './testing.ts';
import { transaction } from './transaction.ts';

const TTL_MS = 600;
/** Of processes of their own, whose start alone can hold up a renewal on a busy machine. */
const PROCESS_TTL_MS = 2000;

let database: TestDatabase;
let pool: Pool;
let errors: unknown[];
const leaderships: Leadership[] = [];
const children: ChildProcess[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
  await migrate({ url: database.url, schema: 'test' });
  pool = openPool({ url: database.url, schema: 'test', size: 6 });
  errors = [];
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await Promise.all(leaderships.splice(0).map((leadership) => leadership.close()));
  await pool.end();
  await database.drop();
});

function replica(ttlMs = TTL_MS, names: { holder?: string; predecessors?: string } = {}): Leadership {
  const leadership = new Leadership(pool, {
    holder: 'test',
    ...names,
    ttlMs,
    onError: (error) => errors.push(error),
  });
  leaderships.push(leadership);
  return leadership;
}

/** Leads until its term is over; `terms` has those that it has led. */
function watched(): { terms: Term[]; leading: () => boolean; work: LedWork } {
  const terms: Term[] = [];
  return {
    terms,
    leading: () => terms.at(-1)?.signal.aborted === false,
    work: (term, signal) => {
      terms.push(term);
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
    },
  };
}

/** Takes the term away as time does. */
function expire(): Promise<unknown> {
  return pool.query('UPDATE leaders SET expires_at = clock_timestamp()');
}

describe('Leadership', () => {
  it('lets exactly one lead, for many times to live', async () => {
    const [a, b] = [watched(), watched()];
    replica().runWhileLeading('work', a.work);
    replica().runWhileLeading('work', b.work);
    await vi.waitFor(() => expect(a.leading() || b.leading()).toBe(true));
    const { rows: first } = await pool.query('SELECT expires_at FROM leaders');
    await vi.waitFor(async () => {
      const { rows } = await pool.query('SELECT expires_at FROM leaders');
      expect(rows[0].expires_at - first[0].expires_at).toBeGreaterThan(2 * TTL_MS);
    }, 5000);
    expect(a.terms.length + b.terms.length).toBe(1);
  });

  it('hands over with a higher term as soon as the leader closes', async () => {
    const [a, b] = [watched(), watched()];
    const first = replica(60_000);
    first.runWhileLeading('work', a.work);
    await vi.waitFor(() => expect(a.leading()).toBe(true));
    replica(TTL_MS).runWhileLeading('work', b.work);
    await first.close();
    await vi.waitFor(() => expect(b.leading()).toBe(true));
    expect(b.terms[0]!.number).toBeGreaterThan(a.terms[0]!.number);
    expect(a.terms[0]!.signal.aborted).toBe(true);
  });

  it('takes over at once from earlier processes of its own, and from no others', async () => {
    const [a, b, c] = [watched(), watched(), watched()];
    const hour = 3_600_000;
    replica(hour, { holder: 'host:1#a' }).runWhileLeading('work', a.work);
    replica(hour, { holder: 'host:10#b' }).runWhileLeading('other work', b.work);
    await vi.waitFor(() => expect(a.leading() && b.leading()).toBe(true));
    const next = replica(TTL_MS, { holder: 'host:1#c', predecessors: 'host:1#' });
    next.runWhileLeading('other work', c.work);
    next.runWhileLeading('work', c.work);
    await vi.waitFor(() => expect(c.leading()).toBe(true));
    expect(c.terms.map(({ name }) => name)).toEqual(['work']);
    const [late] = a.terms;
    await expect(transaction(pool, (tx) => late!.check(tx))).rejects.toThrow(/term 1 is over/);
    await transaction(pool, (tx) => b.terms[0]!.check(tx));
  });

  it('checks several terms at once, and ends those that are over', async () => {
    const [a, b] = [watched(), watched()];
    const leader = replica(3_600_000);
    leader.runWhileLeading('a', a.work);
    leader.runWhileLeading('b', b.work);
    await vi.waitFor(() => expect(a.leading() && b.leading()).toBe(true));
    const terms = [a.terms[0]!, b.terms[0]!];
    await transaction(pool, (tx) => checkTerms(tx, terms));
    await pool.query(`UPDATE leaders SET expires_at = clock_timestamp() WHERE name = 'b'`);
    await expect(transaction(pool, (tx) => checkTerms(tx, terms))).rejects.toThrow(/leadership of "b"/);
    expect([a.leading(), b.leading()]).toEqual([true, false]);
  });

  it('refuses the write of a leader whose time is over, though nobody has taken over', async () => {
    const a = watched();
    // Renews so seldom that it does not notice: as if it were paused.
    replica(3_600_000).runWhileLeading('work', a.work);
    await vi.waitFor(() => expect(a.leading()).toBe(true));
    await transaction(pool, (tx) => a.terms[0]!.check(tx));
    await expire();
    expect(a.leading()).toBe(true);
    const late = transaction(pool, (tx) => a.terms[0]!.check(tx));
    await expect(late).rejects.toSatisfy((error) => isKind(error, 'Unavailable'));
    expect(a.leading()).toBe(false);
  });

  it('takes over only behind a write that was checked, and renews beside it', async () => {
    const [a, b] = [watched(), watched()];
    replica().runWhileLeading('work', a.work);
    await vi.waitFor(() => expect(a.leading()).toBe(true));
    await transaction(pool, async (tx) => {
      await a.terms[0]!.check(tx);
      const { rows: before } = await pool.query('SELECT expires_at FROM leaders');
      await vi.waitFor(async () => {
        const { rows } = await pool.query('SELECT expires_at FROM leaders');
        expect(rows[0].expires_at.getTime()).toBeGreaterThan(before[0].expires_at.getTime());
      });
      await expire();
      replica().runWhileLeading('work', b.work);
      await untilSomebodyWaits(pool);
      expect(b.terms).toEqual([]);
    });
    // The row was expired under it, not its clock: until it renews, the former leader believes that it leads.
    await vi.waitFor(() => expect(a.leading()).not.toBe(b.leading()));
  });

  it('tries failed work again, in a new term', async () => {
    const numbers: bigint[] = [];
    replica().runWhileLeading('work', async ({ number }) => {
      numbers.push(number);
      throw new Error('no luck');
    });
    await vi.waitFor(() => expect(numbers.length).toBeGreaterThan(1));
    expect(numbers[1]).toBe(numbers[0]! + 1n);
    expect(errors[0]).toMatchObject({ message: 'no luck' });
  });

  it('is taken over from a process that was killed, within the time to live', async () => {
    const [a, b] = [await startProcess(), await startProcess()];
    await vi.waitFor(() => expect(a.leads() + b.leads()).toBe(1), 5 * PROCESS_TTL_MS);
    const [leader, other] = a.leads() ? [a, b] : [b, a];
    const killed = performance.now();
    leader.process.kill('SIGKILL');
    await vi.waitFor(() => expect(other.leads()).toBeGreaterThan(1), 3 * PROCESS_TTL_MS);
    expect(performance.now() - killed).toBeLessThan(PROCESS_TTL_MS * 2);
  });

  it('knows, once it goes on, that it was paused for too long', async () => {
    const [a, b] = [await startProcess(), await startProcess()];
    await vi.waitFor(() => expect(a.leads() + b.leads()).toBe(1), 5 * PROCESS_TTL_MS);
    const [leader, other] = a.leads() ? [a, b] : [b, a];
    leader.process.kill('SIGSTOP');
    await vi.waitFor(() => expect(other.leads()).toBeGreaterThan(1), 3 * PROCESS_TTL_MS);
    leader.process.kill('SIGCONT');
    await vi.waitFor(() => expect(leader.leads()).toBe(0), 3 * PROCESS_TTL_MS);
    expect(other.leads()).toBeGreaterThan(1);
  });
});

/** `leads` is the term, 0 without one. */
async function startProcess(): Promise<{ process: ChildProcess; leads: () => number }> {
  const path = new URL('./testing/leader-process.ts', import.meta.url);
  const child = fork(path, [database.url, String(PROCESS_TTL_MS)], { execArgv: [] });
  children.push(child);
  let leads = 0;
  child.on('message', (message) => {
    leads = (message as { leads: number }).leads;
  });
  return { process: child, leads: () => leads };
}
