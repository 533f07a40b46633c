import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { fromSqlError } from './sql-error.ts';

const SHARED_MIGRATIONS = fileURLToPath(new URL('../migrations', import.meta.url));

export interface MigrateOptions {
  url: string;
  schema: string;
  /**
   * Directory of the service's own `NNNN_name.sql` files, run after the shared ones in the order of their names.
   * None: the schema has nothing but what is shared.
   */
  directory?: URL;
}

/**
 * Brings a schema up to date under an advisory lock: replicas that start together wait for one another.
 * Migrations only go forward, and each leaves the schema usable by the version before.
 */
export async function migrate(options: MigrateOptions): Promise<void> {
  const client = new pg.Client({
    connectionString: options.url,
    application_name: `longshore-${options.schema}`,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    for (const step of stepsOf(options)) await runStep(client, step);
  } catch (error) {
    throw fromSqlError(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** One directory of migrations and the table that remembers which of them were run. */
interface Step {
  schema: string;
  directory: string;
  table: string;
}

function stepsOf({ schema, directory }: MigrateOptions): Step[] {
  const shared = { schema, directory: SHARED_MIGRATIONS, table: 'shared_migrations' };
  return directory
    ? [shared, { schema, directory: fileURLToPath(directory), table: 'migrations' }]
    : [shared];
}

async function runStep(client: pg.Client, { schema, directory, table }: Step): Promise<void> {
  if (await isUpToDate(client, `${schema}.${table}`, directory)) return;
  // Loaded only when there is something to do: it takes 11 MB, on every start but the first for nothing.
  const { runner } = await import('node-pg-migrate');
  await runner({
    dbClient: client,
    direction: 'up',
    dir: directory,
    schema,
    createSchema: true,
    migrationsTable: table,
    migrationsSchema: schema,
    advisoryLockMode: 'wait',
    lockValue: lockValueOf(schema),
    log: () => undefined,
  });
}

async function isUpToDate(client: pg.Client, table: string, directory: string): Promise<boolean> {
  const { rows } = await client.query('SELECT to_regclass($1) AS found', [table]);
  if (rows[0].found === null) return false;
  const applied = await client.query<{ name: string }>(`SELECT name FROM ${table}`);
  const done = new Set(applied.rows.map((row) => row.name));
  return (await readdir(directory)).every((file) => done.has(basename(file, '.sql')));
}

/** A lock number per schema, so that services do not wait for one another. */
function lockValueOf(schema: string): number {
  let hash = 0x6c73; // "ls": keeps clear of locks that other programs take in the same database
  for (const byte of Buffer.from(schema)) hash = (hash * 31 + byte) % 2 ** 31;
  return hash;
}
