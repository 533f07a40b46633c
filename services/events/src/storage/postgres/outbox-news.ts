import { fromSqlError, type Pool } from '@longshore/postgres';
import type { PoolClient } from 'pg';

/** Made by the trigger of every outbox; the payload is the schema. */
const CHANNEL = 'longshore_outbox';

/** One connection that hears of new rows. States: open → lost or closed. */
export class OutboxNews implements Disposable {
  readonly #client: PoolClient;
  readonly #lost = new AbortController();

  private constructor(client: PoolClient) {
    this.#client = client;
    client.on('error', (error) => this.#lost.abort(fromSqlError(error)));
    client.on('end', () => this.#lost.abort());
  }

  /** `onRows` is told the schema of each outbox that rows were committed to. */
  static async open(pool: Pool, onRows: (schema: string) => void): Promise<OutboxNews> {
    try {
      const client = await pool.connect();
      const news = new OutboxNews(client);
      client.on('notification', ({ payload }) => onRows(payload ?? ''));
      await client.query(`LISTEN ${CHANNEL}`).catch((error) => {
        news.close();
        throw error;
      });
      return news;
    } catch (error) {
      throw fromSqlError(error);
    }
  }

  /** Aborts when the connection is gone. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  close(): void {
    // Not back into the pool: it listens.
    this.#client.release(true);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
