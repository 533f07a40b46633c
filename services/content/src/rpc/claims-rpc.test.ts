import { randomUUID } from 'node:crypto';
import { digestOf } from '@longshore/oci';
import { AcquireResponse_Result as Result } from '@longshore/proto/longshore/content/v1/blobs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Caller, ContentFixture, callOf, type Replica } from '../testing/content-fixture.ts';

const TTL_MS = 1500;
const POOL_SIZE = 4;
/** Longer than any test waits: only what is waited for ends it. */
const LONG_MS = 25_000;

let first: ContentFixture;
let second: Replica;

beforeAll(async () => {
  first = await ContentFixture.start({
    LONGSHORE_CONTENT_CLAIM_TTL_MS: String(TTL_MS),
    LONGSHORE_DATABASE_POOL_SIZE: String(POOL_SIZE),
    LONGSHORE_SHUTDOWN_TIMEOUT_MS: '500',
  });
  second = await first.replica();
});

afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await first.close();
});

function claimOf(text: string, holder: string, waitMs = 0) {
  return { registry: 'registry:5000', digest: digestOf(text), holder, waitMs };
}

const on = (node: string): ReturnType<typeof callOf> => callOf({ node });

/** Puts a blob as the holder of its claim does. */
function put(text: string, caller: Caller = { node: 'n1' }): Promise<string> {
  return first.put(text, {}, caller);
}

/** How many connections listen for news of claims. */
async function listening(): Promise<number> {
  const { rowCount } = await first.pool.query(
    `SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN longshore_claims%'`,
  );
  return rowCount ?? 0;
}

describe('ClaimService', () => {
  it('gives a claim to one, on all replicas and nodes, and says how far it is to the others', async () => {
    const text = randomUUID();
    const held = await first.claims.acquire(claimOf(text, 'a'), on('n1'));
    expect(held.result).toBe(Result.HELD);
    expect((await first.claims.acquire(claimOf(text, 'a'), on('n1'))).result).toBe(Result.HELD);
    await second.claims.renew({ ...claimOf(text, 'a'), offset: 42n }, on('n1'));
    expect(await second.claims.acquire(claimOf(text, 'b'), on('n2'))).toMatchObject({
      result: Result.BUSY,
      offset: 42n,
    });
    const other = callOf({ namespace: 'other', node: 'n1' });
    expect((await second.claims.acquire(claimOf(text, 'b'), other)).result).toBe(Result.HELD);
  });

  it('answers stored on the other replica as soon as the holder has committed and released', async () => {
    const text = randomUUID();
    await first.claims.acquire(claimOf(text, 'a'), on('n1'));
    const waiting = second.claims.acquire(claimOf(text, 'b', LONG_MS), on('n2'));
    const renewing = setInterval(() => void first.claims.renew(claimOf(text, 'a'), on('n1')), TTL_MS / 3);
    await put(text);
    await first.claims.release(claimOf(text, 'a'), on('n1'));
    clearInterval(renewing);
    expect((await waiting).result).toBe(Result.STORED);
    const { rowCount } = await first.pool.query('SELECT FROM claims WHERE digest = $1', [digestOf(text)]);
    expect(rowCount).toBe(0);
  });

  it('gives the claim of a holder that is silent to one who waits', async () => {
    const text = randomUUID();
    await first.claims.acquire(claimOf(text, 'lost'), on('n1'));
    const waiting = ['b', 'c'].map((holder) => second.claims.acquire(claimOf(text, holder, 3000), on('n2')));
    const results = (await Promise.all(waiting)).map(({ result }) => result);
    expect(results.sort()).toEqual([Result.HELD, Result.BUSY]);
    await expect(first.claims.renew(claimOf(text, 'lost'), on('n1'))).rejects.toMatchObject({
      kind: 'NotFound',
    });
  });

  it('answers those who wait without a lock on the claim', async () => {
    const text = randomUUID();
    await first.claims.acquire(claimOf(text, 'a'), on('n1'));
    const locker = await first.pool.connect();
    try {
      await locker.query('BEGIN');
      await locker.query('SELECT FROM claims WHERE digest = $1 FOR UPDATE', [digestOf(text)]);
      const deadline = new Date(Date.now() + TTL_MS / 2);
      const asked = second.claims.acquire(claimOf(text, 'b'), { ...on('n2'), deadline });
      expect((await asked).result).toBe(Result.BUSY);
    } finally {
      await locker.query('ROLLBACK');
      locker.release();
    }
  });

  it('waits no longer than asked, nor than the deadline of the call', async () => {
    const text = randomUUID();
    await first.claims.acquire(claimOf(text, 'a'), on('n1'));
    const started = performance.now();
    const answers = await Promise.all([
      first.claims.acquire(claimOf(text, 'b', 300), on('n2')),
      first.claims.acquire(claimOf(text, 'c', LONG_MS), {
        ...on('n2'),
        deadline: new Date(Date.now() + 800),
      }),
    ]);
    expect(answers.map(({ result }) => result)).toEqual([Result.BUSY, Result.BUSY]);
    expect(performance.now() - started).toBeGreaterThan(299);
  });

  it('lets a hundred wait on a few connections, and wakes them all', async () => {
    const text = randomUUID();
    await first.claims.acquire(claimOf(text, 'a'), on('n1'));
    const waiting = Array.from({ length: 100 }, (_, index) =>
      first.claims.acquire(claimOf(text, `w${index}`, LONG_MS), on('n2')),
    );
    const renewing = setInterval(() => void second.claims.renew(claimOf(text, 'a'), on('n1')), TTL_MS / 3);
    await vi.waitFor(async () => {
      expect(await listening()).toBeGreaterThan(0);
      const { rows } = await first.pool.query(
        'SELECT count(*)::integer AS open FROM pg_stat_activity WHERE datname = current_database()',
      );
      expect(rows[0].open).toBeLessThan(4 * POOL_SIZE);
    });
    // Others are served meanwhile.
    await put(text);
    await first.claims.release(claimOf(text, 'a'), on('n1'));
    clearInterval(renewing);
    const results = new Set((await Promise.all(waiting)).map(({ result }) => result));
    expect(results).toEqual(new Set([Result.STORED]));
  });

  it('sends those who wait elsewhere when a replica stops', async () => {
    const text = randomUUID();
    await first.claims.acquire(claimOf(text, 'a'), on('n1'));
    const before = await listening();
    const stopping = await first.replica({ LONGSHORE_SHUTDOWN_TIMEOUT_MS: '20000' });
    const waiting = stopping.claims.acquire(claimOf(text, 'b', LONG_MS), on('n2'));
    await vi.waitFor(async () => expect(await listening()).toBe(before + 1));
    const stopped = stopping[Symbol.asyncDispose]();
    expect(await Promise.race([waiting.then(({ result }) => result), stopped.then(() => 'cut')])).toBe(
      Result.BUSY,
    );
    await stopped;
  });

  it('does not leave a claim with a caller that has gone', async () => {
    const text = randomUUID();
    await first.claims.acquire(claimOf(text, 'a'), on('n1'));
    const gone = new AbortController();
    const waiting = second.claims.acquire(claimOf(text, 'gone', LONG_MS), {
      ...on('n2'),
      signal: gone.signal,
    });
    gone.abort();
    await expect(waiting).rejects.toMatchObject({ kind: 'Canceled' });
    await first.claims.release(claimOf(text, 'a'), on('n1'));
    expect((await first.claims.acquire(claimOf(text, 'c', 3000), on('n3'))).result).toBe(Result.HELD);
  });
});
