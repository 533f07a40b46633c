import pg from 'pg';
import { fromSqlError } from './sql-error.ts';

const CONNECT_TIMEOUT_MS = 1_500;

/**
 * Resolves when the server takes a connection of the role. Throws Unavailable while it does not. By a connection of its
 * own: a pool that is busy says nothing about the server.
 */
export async function pingDatabase(url: string): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'longshore-ready',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw fromSqlError(error);
  } finally {
    void client.end().catch(() => undefined);
  }
}
