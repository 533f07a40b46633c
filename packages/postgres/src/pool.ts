import pg from 'pg';
import { PreparingClient } from './preparing-client.ts';

/** Nothing that a service asks of Postgres takes longer than this when all is well. */
const STATEMENT_TIMEOUT_MS = 10_000;
const LOCK_TIMEOUT_MS = 5_000;
/** A transaction that its process forgot would hold back the relay and the collector. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** For a server that is silent: one that lives has cancelled the statement by then. */
const QUERY_TIMEOUT_MS = 15_000;

/** A new connection is a new server process, which prepares every statement anew: rounds some seconds apart share one. */
const IDLE_TIMEOUT_MS = 60_000;

/**
 * How soon a side that has vanished without a word is noticed where nothing is asked: here by connections that listen, at the
 * server, in half a minute, so that what its host held ends. The kernel's own measure is two hours.
 */
const KEEPALIVE_MS = 10_000;
const SERVER_KEEPALIVE = '-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=4';

/** Compiling takes longer than any statement of ours runs, and is not kept with a plan. */
const NO_COMPILER = '-c jit=off';

const PLAN_ONCE = '-c plan_cache_mode=force_generic_plan';

/** The type number of int8, which `pg` gives as text: here it is a bigint. */
const INT8_OID = 20;

export type Pool = pg.Pool;
/** A connection inside a transaction, or the pool itself for a single statement. */
export type Queryable = Pick<pg.Pool, 'query'>;

export interface PoolOptions {
  /** e.g. `postgres://longshore@/longshore?host=/run/longshore/postgres` */
  url: string;
  /** The service's own schema: first in the search path of every connection. */
  schema: string;
  size: number;
  /**
   * Plans each prepared statement once per connection, whatever its parameters: for short statements that find their rows by the
   * same index always. Postgres by itself plans those with arrays anew each time, which takes longer than to run them.
   */
  plansOnce?: boolean;
}

/** A pool whose connections see the schema's tables by their bare names. It connects on first use. */
export function openPool(options: PoolOptions): Pool {
  const planning = options.plansOnce ? PLAN_ONCE : '';
  const pool = new pg.Pool({
    Client: PreparingClient,
    connectionString: options.url,
    max: options.size,
    application_name: `longshore-${options.schema}`,
    options: `-c search_path=${options.schema} ${SERVER_KEEPALIVE} ${NO_COMPILER} ${planning}`,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    lock_timeout: LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_MS,
    types: { getTypeParser },
  });
  // A connection that breaks while idle is replaced on next use; without a listener it would end the process.
  pool.on('error', () => undefined);
  return pool;
}

function getTypeParser(oid: number, format?: 'text' | 'binary') {
  if (oid === INT8_OID && format !== 'binary') return BigInt;
  return pg.types.getTypeParser(oid, format as 'text');
}
