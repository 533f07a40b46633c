import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { migrate } from '@longshore/postgres';
import pg from 'pg';
import { REPOSITORY } from '../architecture/sources.ts';

const NAME = 'migrated';
const SCHEMAS = ['content', 'image', 'snapshot', 'runtime', 'events', 'gateway'];
const LOCK = 0x6c73_6d64;

/**
 * The name of a database on the server of the run in which each service finds its schema as it would have made it, to be
 * copied. Whoever asks first makes it.
 */
export async function migratedDatabase(): Promise<string> {
  const serverUrl = process.env.LONGSHORE_TEST_POSTGRES;
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [LOCK]);
    const { rows } = await client.query('SELECT FROM pg_database WHERE datname = $1', [NAME]);
    if (rows.length > 0) return NAME;
    const unfinished = `${NAME}_unfinished`;
    await client.query(`DROP DATABASE IF EXISTS ${unfinished} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${unfinished}`);
    const url = new URL(serverUrl!);
    url.pathname = `/${unfinished}`;
    await Promise.all(SCHEMAS.map((schema) => migrate({ url: url.href, schema, ...directoryOf(schema) })));
    await client.query(`ALTER DATABASE ${unfinished} RENAME TO ${NAME}`);
    return NAME;
  } finally {
    await client.end();
  }
}

function directoryOf(service: string): { directory: URL } | undefined {
  const path = join(REPOSITORY, 'services', service, 'src/storage/postgres/migrations/');
  return existsSync(path) ? { directory: pathToFileURL(path) } : undefined;
}
