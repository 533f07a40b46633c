import { openPool, type Pool } from '@longshore/postgres';
import { createTestDatabase, type TestDatabase } from '@longshore/postgres/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prepareDatabase, SCHEMA } from '../../database.ts';
import { IdempotencyRepository } from './idempotency-repository.ts';

let database: TestDatabase;
let pool: Pool;
let answers: IdempotencyRepository;

beforeAll(async () => {
  database = await createTestDatabase();
  await prepareDatabase(database.url);
  pool = openPool({ url: database.url, schema: SCHEMA, size: 4 });
  answers = new IdempotencyRepository(pool);
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

const request = (key: string, what = 'a') => ({ caller: 'user/alice', key, hash: Buffer.from(what) });

async function claimed(key: string): Promise<string> {
  const claim = await answers.claim(request(key));
  if (claim.state !== 'claimed') throw new Error(claim.state);
  return claim.claim;
}

const ANSWER = { status: 201, headers: { location: '/v1/a' }, body: '{"a":1}' };

/** As if so much time had passed. */
function age(key: string, interval: string) {
  return pool.query(
    `UPDATE idempotency_keys SET claimed_until = claimed_until - $2::interval, expires_at = expires_at - $2::interval
     WHERE key = $1`,
    [key, interval],
  );
}

describe('a key', () => {
  it('is claimed by one of many, and answers the same to all later', async () => {
    const claims = await Promise.all(Array.from({ length: 8 }, () => answers.claim(request('once'))));
    expect(claims.map(({ state }) => state).sort()).toEqual([...Array(7).fill('busy'), 'claimed']);
    const winner = claims.find((each) => each.state === 'claimed');
    await answers.keep(winner!.claim, ANSWER);
    expect(await answers.claim(request('once'))).toEqual({ state: 'answered', answer: ANSWER });
    expect(await answers.claim(request('once', 'b'))).toEqual({ state: 'other' });
    expect((await answers.claim({ ...request('once'), caller: 'user/bob' })).state).toBe('claimed');
  });

  it('is free again when its request made nothing, and when its gateway died', async () => {
    await answers.release(await claimed('retry'));
    const lost = await claimed('retry');
    expect(await answers.claim(request('retry'))).toEqual({ state: 'busy' });
    await age('retry', '3 minutes');
    expect(await answers.claim(request('retry', 'b'))).toEqual({ state: 'other' });
    await claimed('retry');
    // The one that was taken for dead has nothing to say any more.
    await answers.keep(lost, ANSWER);
    expect(await answers.claim(request('retry'))).toEqual({ state: 'busy' });
  });

  it('is forgotten after a day', async () => {
    await answers.keep(await claimed('old'), ANSWER);
    await age('old', '25 hours');
    await claimed('new');
    const { rows } = await pool.query("SELECT 1 FROM idempotency_keys WHERE key = 'old'");
    expect(rows).toEqual([]);
    await answers.keep(await claimed('stale'), ANSWER);
    await age('stale', '25 hours');
    expect((await answers.claim(request('stale', 'b'))).state).toBe('claimed');
  });
});
