import { fromSqlError, type Pool } from '@longshore/postgres';
import type { PoolClient } from 'pg';

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

  /** Takes those of the partitions that nobody leads; answers which. Ask only for partitions not held yet. */
  async lead(schema: string, partitions: number[]): Promise<number[]> {
    try {
      const { rows } = await this.#client.query<{ partition: number }>(
        `SELECT partition FROM unnest($2::int[]) AS partition
         WHERE pg_try_advisory_lock(hashtext('longshore relay of ' || $1), partition)`,
        [schema, partitions],
      );
      return rows.map((row) => row.partition);
    } catch (error) {
      throw fromSqlError(error);
    }
  }

  close(): void {
    // Not back into the pool: its end releases the locks.
    this.#client.release(true);
  }
}
