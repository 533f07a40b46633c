import { setTimeout as delay } from 'node:timers/promises';
import { unavailable } from '@longshore/errors';
import type { PoolClient } from 'pg';
import type { Pool } from './pool.ts';
import { fromSqlError } from './sql-error.ts';

/** Of the triggers that call `notify_scope`, with the schema behind it; the payload is `<node> <namespace>`. */
const CHANNEL_PREFIX = 'longshore_scope_';

/** A change seldom comes alone: those that follow within this time are told of together. */
const SETTLE_MS = 10;

/** Between two tellings: a node knows its own changes from its calls' answers, and what others do is not urgent. */
const REST_MS = 500;

/** Hears of one node's changes. */
interface Watcher {
  /** Namespaces that have changed and were not told of yet: however slow the reader, no more than there are. */
  pending: Set<string>;
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
  /** By node. */
  readonly #watchers = new Map<string, Set<Watcher>>();
  #listening: Promise<Listening> | undefined;
  /** Checked out of the pool until it breaks or `close`. */
  #client: PoolClient | undefined;
  #isClosed = false;

  constructor(pool: Pool, schema: string) {
    this.#pool = pool;
    this.#schema = schema;
  }

  /**
   * Yields nothing once no change is missed any more, then the namespaces that have changed on the node since. Throws
   * Unavailable when the connection is lost: changes are missed then.
   */
  async *watch(node: string, signal: AbortSignal): AsyncGenerator<ReadonlySet<string>> {
    const { lost } = await this.#listen();
    const over = AbortSignal.any([signal, lost]);
    let wake = () => {};
    const watcher: Watcher = { pending: new Set(), wake: () => wake() };
    this.#add(node, watcher);
    let restUntil = 0;
    const onOver = () => wake();
    over.addEventListener('abort', onOver);
    try {
      if (!over.aborted) yield new Set();
      while (!over.aborted) {
        if (watcher.pending.size === 0) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          const waitMs = Math.max(SETTLE_MS, restUntil - performance.now());
          await delay(waitMs, undefined, { signal: over }).catch(() => undefined);
          continue;
        }
        restUntil = performance.now() + REST_MS;
        const namespaces = watcher.pending;
        watcher.pending = new Set();
        yield namespaces;
      }
      if (!signal.aborted) throw unavailable('database: notifications were lost');
    } finally {
      over.removeEventListener('abort', onOver);
      this.#remove(node, watcher);
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
    await client.query(`LISTEN ${CHANNEL_PREFIX}${this.#schema}`);
    return { lost: lost.signal };
  }

  #add(node: string, watcher: Watcher): void {
    const watchers = this.#watchers.get(node) ?? new Set();
    this.#watchers.set(node, watchers.add(watcher));
  }

  #remove(node: string, watcher: Watcher): void {
    const watchers = this.#watchers.get(node);
    watchers?.delete(watcher);
    if (watchers?.size === 0) this.#watchers.delete(node);
  }

  #tell(payload: string): void {
    const [node = '', namespace = ''] = payload.split(' ');
    for (const watcher of this.#watchers.get(node) ?? []) {
      watcher.pending.add(namespace);
      watcher.wake();
    }
  }
}
