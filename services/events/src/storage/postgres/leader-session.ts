import { hostname } from 'node:os';
import { fromSqlError, type Pool } from '@longshore/postgres';
import type { PoolClient } from 'pg';
import { termName } from './partition-terms.ts';

/** Made by the trigger of every outbox; the payload is the schema. */
const CHANNEL = 'longshore_outbox';

/**
 * One connection that holds the advisory locks of the partitions that this process leads, and hears of new rows.
 * The locks are the database's: they end with the connection, however it ends. States: open → lost or closed.
 */
export class LeaderSession {
  readonly #client: PoolClient;
  readonly #lost = new AbortController();

  private constructor(client: PoolClient) {
    this.#client = client;
    client.on('error', (error) => this.#lost.abort(fromSqlError(error)));
    client.on('end', () => this.#lost.abort());
  }

  /** `onRows` is told the schema of each outbox that rows were committed to. */
  static async open(pool: Pool, onRows: (schema: string) => void): Promise<LeaderSession> {
    try {
      const client = await pool.connect();
      const session = new LeaderSession(client);
      client.on('notification', ({ payload }) => onRows(payload ?? ''));
      await client.query(`LISTEN ${CHANNEL}`);
      return session;
    } catch (error) {
      throw fromSqlError(error);
    }
  }

  /** Aborts when the connection is gone, and with it every lock. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Takes those of the partitions that nobody leads; answers their terms. Ask only for partitions not held yet. */
  async lead(schema: string, partitions: number[]): Promise<Map<number, bigint>> {
    try {
      const { rows } = await this.#client.query<{ partition: number }>(
        `SELECT partition FROM unnest($2::int[]) AS partition
         WHERE pg_try_advisory_lock(hashtext('longshore relay of ' || $1), partition)`,
        [schema, partitions],
      );
      return await this.#beginTerms(
        schema,
        rows.map((row) => row.partition),
      );
    } catch (error) {
      throw fromSqlError(error);
    }
  }

  /** Waits for what the leader before still writes. A term lasts until the next begins, for the lock says who leads. */
  async #beginTerms(schema: string, partitions: number[]): Promise<Map<number, bigint>> {
    if (partitions.length === 0) return new Map();
    const { rows } = await this.#client.query<{ term: string; name: string }>(
      `INSERT INTO leaders AS l (name, term, holder, expires_at)
       SELECT name, 1, $2, 'infinity' FROM unnest($1::text[]) AS name ORDER BY name
       ON CONFLICT (name) DO UPDATE SET term = l.term + 1, holder = excluded.holder RETURNING name, term`,
      [partitions.map((partition) => termName(schema, partition)), `${hostname()} ${process.pid}`],
    );
    const terms = new Map(rows.map(({ name, term }) => [name, BigInt(term)]));
    return new Map(partitions.map((partition) => [partition, terms.get(termName(schema, partition)) ?? 0n]));
  }

  /** Gives up every partition: what this process believes is no longer true. */
  end(): void {
    this.#lost.abort();
  }

  close(): void {
    // Not back into the pool: its end releases the locks.
    this.#client.release(true);
  }
}
