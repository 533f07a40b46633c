import { isKind } from '@longshore/errors';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPool, type Pool } from './pool.ts';
import { fromSqlError, isForeignKeyViolation, isUniqueViolation } from './sql-error.ts';
import { createTestDatabase, type TestDatabase } from './testing.ts';
import { query, transaction } from './transaction.ts';

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = openPool({ url: database.url, schema: 'public', size: 4 });
  await pool.query(
    'CREATE TABLE parents (id text CONSTRAINT parents_id PRIMARY KEY, other text CONSTRAINT parents_other UNIQUE)',
  );
  await pool.query('CREATE TABLE children (parent text CONSTRAINT children_parent REFERENCES parents)');
  await pool.query(`INSERT INTO parents VALUES ('a', 'A'), ('b', 'B')`);
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

describe('errors of Postgres', () => {
  it('tell a violated constraint by its name', async () => {
    const error = await query(pool, `INSERT INTO parents VALUES ('a', 'C')`).catch((thrown) => thrown);
    expect(isUniqueViolation(error)).toBe(true);
    expect(isUniqueViolation(error, 'parents_id')).toBe(true);
    expect(isUniqueViolation(error, 'parents_other')).toBe(false);
    const orphan = await query(pool, `INSERT INTO children VALUES ('x')`).catch((thrown) => thrown);
    expect(isForeignKeyViolation(orphan, 'children_parent')).toBe(true);
    expect(isUniqueViolation(orphan)).toBe(false);
  });

  it('are InvalidArgument for text that cannot be stored', async () => {
    const nul = query(pool, 'SELECT $1::text', ['a\0b']);
    await expect(nul).rejects.toSatisfy((error) => isKind(error, 'InvalidArgument'));
    const label = query(pool, 'SELECT $1::jsonb', [{ a: '\0' }]);
    await expect(label).rejects.toSatisfy((error) => isKind(error, 'InvalidArgument'));
    const long = Array.from({ length: 4000 }, () => Math.random().toString(36)[2]).join('');
    const key = query(pool, 'INSERT INTO parents VALUES ($1)', [long]);
    await expect(key).rejects.toSatisfy((error) => isKind(error, 'InvalidArgument'));
  });

  it('stay as they are when they tell of a bug', async () => {
    await expect(query(pool, 'SELECT nonsense')).rejects.toMatchObject({ code: '42703' });
    await expect(query(pool, 'SELECT nonsense')).rejects.toSatisfy((error) => isKind(error, 'Unknown'));
  });

  it('are Unavailable when no answer comes', async () => {
    const client = await pool.connect();
    try {
      const silent = { text: 'SELECT pg_sleep(5)', query_timeout: 50 };
      const error = await client.query(silent).catch(fromSqlError);
      expect(isKind(error, 'Unavailable')).toBe(true);
    } finally {
      client.release(true);
    }
  });

  it('are Unavailable for the loser of a deadlock, whose transaction left nothing', async () => {
    const both = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const lock = (mine: number, first: string, second: string) =>
      transaction(pool, async (tx) => {
        await tx.query('UPDATE parents SET other = other || $2 WHERE id = $1', [first, mine]);
        both[mine]!.resolve();
        await Promise.all(both.map(({ promise }) => promise));
        await tx.query('UPDATE parents SET other = other || $2 WHERE id = $1', [second, mine]);
      });
    const outcomes = await Promise.allSettled([lock(0, 'a', 'b'), lock(1, 'b', 'a')]);
    const losers = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
    expect(losers).toHaveLength(1);
    expect(isKind(losers[0], 'Unavailable')).toBe(true);
    const winner = outcomes.findIndex(({ status }) => status === 'fulfilled');
    const rows = await query<{ other: string }>(pool, 'SELECT other FROM parents ORDER BY id');
    expect(rows.map(({ other }) => other)).toEqual([`A${winner}`, `B${winner}`]);
  });
});
