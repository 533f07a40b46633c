import { isKind, notFound } from '@longshore/errors';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { openPool, type Pool } from './pool.ts';
import { startSilentServer } from './testing/silent-server.ts';
import { createTestDatabase, type TestDatabase } from './testing.ts';
import { query, transaction } from './transaction.ts';

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = openPool({ url: database.url, schema: 'public', size: 4 });
  await pool.query('CREATE TABLE items (name text PRIMARY KEY, size bigint)');
});

beforeEach(async () => {
  await pool.query('TRUNCATE items');
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

function names(): Promise<string[]> {
  return query<{ name: string }>(pool, 'SELECT name FROM items ORDER BY name').then((rows) =>
    rows.map(({ name }) => name),
  );
}

const isUnavailable = (error: unknown) => isKind(error, 'Unavailable');

describe('transaction', () => {
  it('does not pass as committed when its work kept quiet about a failed statement', async () => {
    const quiet = transaction(pool, async (tx) => {
      await tx.query(`INSERT INTO items VALUES ('lost', 1)`);
      await tx.query('SELECT * FROM no_such_table').catch(() => undefined);
    });
    await expect(quiet).rejects.toMatchObject({ kind: 'Internal' });
    expect(await names()).toEqual([]);
  });

  it('heals when a migration has changed what a prepared statement gives', async () => {
    const one = openPool({ url: database.url, schema: 'public', size: 1 });
    const read = () =>
      transaction(one, async (tx) => (await tx.query('SELECT * FROM shape WHERE a = $1', [1])).rows);
    await pool.query('CREATE TABLE shape (a int); INSERT INTO shape VALUES (1)');
    expect(await read()).toEqual([{ a: 1 }]);
    await pool.query('ALTER TABLE shape ADD COLUMN b int');
    await read().catch(() => undefined);
    expect(await read()).toEqual([{ a: 1, b: null }]);
    await one.end();
  });

  it('commits what its work did, and gives its result', async () => {
    const result = await transaction(pool, async (tx) => {
      await tx.query(`INSERT INTO items VALUES ('a', 9007199254740993)`);
      return (await tx.query<{ size: bigint }>('SELECT size FROM items')).rows[0]?.size;
    });
    expect(result).toBe(9007199254740993n);
    expect(await names()).toEqual(['a']);
  });

  it('rolls back when its work throws, and gives the very error', async () => {
    const failure = notFound('item "b"');
    const work = transaction(pool, async (tx) => {
      await tx.query(`INSERT INTO items VALUES ('a', 1)`);
      throw failure;
    });
    await expect(work).rejects.toBe(failure);
    expect(await names()).toEqual([]);
    expect(pool.idleCount).toBe(pool.totalCount);
  });

  it('rolls back when a statement fails, and leaves a connection that works', async () => {
    const work = transaction(pool, async (tx) => {
      await tx.query(`INSERT INTO items VALUES ('a', 1)`);
      await tx.query(`INSERT INTO items VALUES ('a', 2)`);
    });
    await expect(work).rejects.toMatchObject({ code: '23505' });
    expect(await names()).toEqual([]);
  });

  it('says Unavailable when a lock is not to be had in time', async () => {
    await pool.query(`INSERT INTO items VALUES ('a', 1)`);
    const held = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const holder = transaction(pool, async (tx) => {
      await tx.query(`UPDATE items SET size = 2`);
      held.resolve();
      await release.promise;
    });
    await held.promise;
    const waiter = transaction(pool, async (tx) => {
      await tx.query(`SET LOCAL lock_timeout = '50ms'`);
      await tx.query('UPDATE items SET size = 3');
    });
    await expect(waiter).rejects.toSatisfy(isUnavailable);
    release.resolve();
    await holder;
  });

  it('says Unavailable when its connection is cut, and the pool goes on with another', async () => {
    const work = transaction(pool, async (tx) => {
      const { rows } = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      await tx.query(`INSERT INTO items VALUES ('a', 1)`);
      await onServer('SELECT pg_terminate_backend($1, 5000)', [rows[0]?.pid]);
      await tx.query('SELECT 1');
    });
    await expect(work).rejects.toSatisfy(isUnavailable);
    expect(await names()).toEqual([]);
  });

  it('says Unavailable when the connection was cut between statements', async () => {
    const work = transaction(pool, async (tx) => {
      await tx.query(`INSERT INTO items VALUES ('a', 1)`);
      const { rows } = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      const heard = new Promise((resolve) => (tx as pg.PoolClient).once('error', resolve));
      await onServer('SELECT pg_terminate_backend($1, 5000)', [rows[0]?.pid]);
      await heard;
    });
    await expect(work).rejects.toSatisfy(isUnavailable);
    expect(await names()).toEqual([]);
  });
});

describe('a pool', () => {
  it.each([
    ['a port that nobody listens on', 'postgres://u@127.0.0.1:1/db'],
    ['a socket that is not there', 'postgres://u@/db?host=/no/such/directory'],
  ])('says Unavailable for %s', async (_, url) => {
    const away = openPool({ url, schema: 'public', size: 1 });
    await expect(query(away, 'SELECT 1')).rejects.toSatisfy(isUnavailable);
    await expect(transaction(away, (tx) => tx.query('SELECT 1'))).rejects.toSatisfy(isUnavailable);
    await away.end();
  });

  it('says Unavailable for a server that takes connections and does not answer', {
    timeout: 20_000,
  }, async () => {
    const { url, close } = await startSilentServer();
    const away = openPool({ url, schema: 'public', size: 1 });
    await expect(query(away, 'SELECT 1')).rejects.toSatisfy(isUnavailable);
    await away.end();
    await close();
  });

  it('sees the tables of its schema by their bare names, and limits every wait', async () => {
    await onServer('CREATE SCHEMA IF NOT EXISTS own');
    const own = openPool({ url: database.url, schema: 'own', size: 1 });
    const show = async (name: string) => Object.values((await own.query(`SHOW ${name}`)).rows[0]);
    expect(await show('search_path')).toEqual(['own']);
    expect(await show('lock_timeout')).toEqual(['5s']);
    expect(await show('statement_timeout')).toEqual(['10s']);
    expect(await show('idle_in_transaction_session_timeout')).toEqual(['5s']);
    await own.end();
  });

  it('has both ends look for one that has vanished without a word', async () => {
    const settings = await query<{ source: string }>(
      pool,
      `SELECT source FROM pg_settings WHERE name LIKE 'tcp_keepalives_%'`,
    );
    expect(settings).toEqual(Array(3).fill({ source: 'client' }));
    expect(pool.options).toMatchObject({ keepAlive: true, keepAliveInitialDelayMillis: 10_000 });
  });

  it('keeps a connection, and what it has prepared, when a row is there already', async () => {
    const one = openPool({ url: database.url, schema: 'public', size: 1 });
    const pid = async () => (await query<{ pid: number }>(one, 'SELECT pg_backend_pid() AS pid'))[0]?.pid;
    const before = await pid();
    const insert = () => query(one, `INSERT INTO items VALUES ('twice', 1)`);
    await insert();
    await expect(insert()).rejects.toThrow();
    expect(await pid()).toBe(before);
    await expect(query(one, 'SELECT * FROM no_such_table')).rejects.toThrow();
    expect(await pid()).not.toBe(before);
    await one.end();
  });

  it('survives that an idle connection is cut', async () => {
    await Promise.all([1, 2].map(() => query(pool, 'SELECT pg_sleep(0.01)')));
    await onServer(
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    );
    await vi.waitFor(() => expect(pool.totalCount).toBe(0));
    expect(await query<{ one: number }>(pool, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});

async function onServer(sql: string, values: unknown[] = []): Promise<void> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(sql, values);
  await client.end();
}
