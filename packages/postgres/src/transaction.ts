import { internal } from '@longshore/errors';
import pg from 'pg';
import type { Pool, Queryable } from './pool.ts';
import { fromSqlError } from './sql-error.ts';

/**
 * Runs `work` in one READ COMMITTED transaction: committed when it returns, rolled back when it throws.
 * Keep it short (under a second): an open transaction holds back the relay of events. No RPC inside.
 */
export async function transaction<T>(pool: Pool, work: (tx: Queryable) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((error) => {
    throw fromSqlError(error);
  });
  let broken: Error | undefined;
  // A connection that breaks between two statements has nobody waiting on it: remember, and drop it below.
  const onError = (error: Error) => {
    broken = error;
  };
  client.on('error', onError);
  try {
    await client.query('BEGIN');
    const result = await work(client);
    const { command } = await client.query('COMMIT');
    // Postgres answers so when a statement had failed, and somebody kept quiet about it.
    if (command === 'ROLLBACK') throw internal('transaction was rolled back');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch((rollbackError) => {
      broken = rollbackError;
    });
    if (isStalePlan(error)) broken = error as Error;
    throw fromSqlError(error);
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
}

/** One statement outside a transaction, with errors in longshore's kinds. */
export async function query<Row extends object>(
  db: Queryable,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  try {
    return await (db instanceof pg.Pool ? runOnPool<Row>(db, text, values) : runOn<Row>(db, text, values));
  } catch (error) {
    throw fromSqlError(error);
  }
}

async function runOn<Row extends object>(
  db: Queryable,
  text: string,
  values: readonly unknown[],
): Promise<Row[]> {
  const result = await db.query<Row & Record<string, unknown>>(text, values as unknown[]);
  return result.rows;
}

/** The pool's own `query` gives up a connection, and all that it has prepared, also when a row is there already. */
async function runOnPool<Row extends object>(
  pool: pg.Pool,
  text: string,
  values: readonly unknown[],
): Promise<Row[]> {
  const client = await pool.connect();
  let broken: Error | undefined;
  const onError = (error: Error) => {
    broken = error;
  };
  client.on('error', onError);
  try {
    return await runOn<Row>(client, text, values);
  } catch (error) {
    if (!isConstraintViolation(error)) broken = error as Error;
    throw error;
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
}

/** Source: PostgreSQL's appendix A, class 23. */
function isConstraintViolation(error: unknown): boolean {
  return (error as { code?: string }).code?.startsWith('23') ?? false;
}

/** A migration has changed what a prepared statement was prepared for: only a new connection helps. */
function isStalePlan(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  return code === '26000' || (code === '0A000' && message === 'cached plan must not change result type');
}
