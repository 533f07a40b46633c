import type { Pool } from '@longshore/postgres';
import type { PoolClient } from 'pg';
import type { ClaimNews } from '../../domain/claims.ts';

/** A smaller pool has no connection to spare: those who wait then only ask now and then. */
const MIN_POOL_SIZE = 4;
/** Of the trigger on `claims`; the payload is `<schema> <digest>`. */
const CHANNEL = 'longshore_claims';

/**
 * Says when a claim was released, by any replica, from Postgres' notifications. One connection of the pool for all who
 * wait, from the first of them on. What happens while the connection is lost is not told of.
 */
export class PostgresClaimNews implements ClaimNews {
  readonly #pool: Pool;
  readonly #schema: string;
  readonly #listeners = new Map<string, Set<() => void>>();
  #client: PoolClient | undefined;
  #opening: Promise<void> | undefined;
  #isClosed = false;

  constructor(pool: Pool, schema: string) {
    this.#pool = pool;
    this.#schema = schema;
  }

  async listen(digest: string, listener: () => void): Promise<Disposable> {
    const listeners = this.#listeners.get(digest) ?? new Set();
    this.#listeners.set(digest, listeners.add(listener));
    // Without news those who wait ask again all the same, only later.
    await this.#open().catch(() => undefined);
    return {
      [Symbol.dispose]: () => {
        listeners.delete(listener);
        if (listeners.size === 0 && this.#listeners.get(digest) === listeners) this.#listeners.delete(digest);
      },
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#drop();
  }

  #open(): Promise<void> {
    if (this.#isClosed || this.#pool.options.max < MIN_POOL_SIZE) return Promise.resolve();
    this.#opening ??= this.#connect().catch((error) => {
      this.#drop();
      throw error;
    });
    return this.#opening;
  }

  async #connect(): Promise<void> {
    const client = await this.#pool.connect();
    this.#client = client;
    if (this.#isClosed) return this.#drop();
    const onLost = () => {
      if (this.#client === client) this.#drop();
    };
    client.on('error', onLost).on('end', onLost);
    client.on('notification', ({ payload }) => this.#tell(payload ?? ''));
    await client.query(`LISTEN ${CHANNEL}`);
  }

  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    this.#opening = undefined;
    client?.release(true);
  }

  #tell(payload: string): void {
    const [schema, digest = ''] = payload.split(' ');
    if (schema !== this.#schema) return;
    for (const listener of [...(this.#listeners.get(digest) ?? [])]) listener();
  }
}
