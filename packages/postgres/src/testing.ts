import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

export interface TestDatabase {
  url: string;
  drop(): Promise<void>;
}

/**
 * A fresh database for one test file, on the server that the test run started (LONGSHORE_TEST_POSTGRES, a URL).
 * `template` copies another database, which spares migrations.
 */
export async function createTestDatabase(template = 'template1'): Promise<TestDatabase> {
  const serverUrl = process.env.LONGSHORE_TEST_POSTGRES;
  if (!serverUrl) throw new Error('LONGSHORE_TEST_POSTGRES is not set: run the tests by `npm test`');
  const name = `test_${randomBytes(6).toString('hex')}`;
  await onServer(serverUrl, `CREATE DATABASE ${name} TEMPLATE ${template}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => drop(serverUrl, name) };
}

/** The server's own vacuum of a database is not ours to end; it is over in a moment. */
const INSUFFICIENT_PRIVILEGE = '42501';
const DROP_ATTEMPTS = 50;

async function drop(serverUrl: string, name: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await onServer(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    } catch (error) {
      if ((error as { code?: string }).code !== INSUFFICIENT_PRIVILEGE || attempt === DROP_ATTEMPTS)
        throw error;
      await delay(100);
    }
  }
}

async function onServer(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
