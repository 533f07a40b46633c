import { unavailable } from '@longshore/errors';
import type { PoolClient } from 'pg';
import type { Pool } from './pool.ts';
import { fromSqlError } from './sql-error.ts';

/** Of the triggers that call `notify_scope`; the payload is `<schema> <node> <namespace>`. */
const CHANNEL = 'longshore_scope';

/** Hears of one node's changes. */
interface Watcher {
  readonly node: string;
  /** Namespaces that have changed and were not told of yet: however slow the reader, no more than there are. */
  readonly pending: Set<string>;
  wake(): void;
}

/** The connection that notifications come in on. States: open → lost. */
interface Listening {
  readonly lost: AbortSignal;
}

/**
 * Tells watchers which scopes of a schema have changed, whoever changed them, from Postgres' notifications. It holds one
 * connection of the pool from the first watch on.
 */
export class ScopeChanges {
  readonly #pool: Pool;
  readonly #schema: string;
  readonly #watchers = new Set<Watcher>();
  #listening: Promise<Listening> | undefined;
  /** Checked out of the pool until it breaks or `close`. */
  #client: PoolClient | undefined;
  #isClosed = false;

  constructor(pool: Pool, schema: string) {
    this.#pool = pool;
    this.#schema = schema;
  }

  /**
   * Yields the empty string once nothing is missed any more, then the namespace of each change on the node. Throws
   * Unavailable when the connection is lost: what was remembered by then is to be forgotten.
   */
  async *watch(node: string, signal: AbortSignal): AsyncGenerator<string> {
    const { lost } = await this.#listen();
    const over = AbortSignal.any([signal, lost]);
    let wake = () => {};
    const watcher: Watcher = { node, pending: new Set(), wake: () => wake() };
    this.#watchers.add(watcher);
    const onOver = () => wake();
    over.addEventListener('abort', onOver);
    try {
      yield '';
      while (!over.aborted) {
        const namespaces = [...watcher.pending];
        watcher.pending.clear();
        yield* namespaces;
        if (watcher.pending.size > 0 || over.aborted) continue;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (!signal.aborted) throw unavailable('database: notifications were lost');
    } finally {
      over.removeEventListener('abort', onOver);
      this.#watchers.delete(watcher);
    }
  }

  /** Ends the connection, and with it every watch. */
  close(): void {
    this.#isClosed = true;
    this.#release();
  }

  #release(): void {
    const client = this.#client;
    this.#client = undefined;
    this.#listening = undefined;
    client?.release(true);
  }

  #listen(): Promise<Listening> {
    this.#listening ??= this.#open().catch((error) => {
      this.#release();
      throw fromSqlError(error);
    });
    return this.#listening;
  }

  async #open(): Promise<Listening> {
    const client = await this.#pool.connect();
    if (this.#isClosed) {
      client.release();
      throw unavailable('database: closed');
    }
    const lost = new AbortController();
    this.#client = client;
    const onLost = () => {
      if (this.#client === client) this.#release();
      lost.abort();
    };
    client.on('error', onLost).on('end', onLost);
    client.on('notification', ({ payload }) => this.#tell(payload ?? ''));
    await client.query(`LISTEN ${CHANNEL}`);
    return { lost: lost.signal };
  }

  #tell(payload: string): void {
    const [schema, node, namespace = ''] = payload.split(' ');
    if (schema !== this.#schema) return;
    for (const watcher of this.#watchers) {
      if (watcher.node !== node) continue;
      watcher.pending.add(namespace);
      watcher.wake();
    }
  }
}
