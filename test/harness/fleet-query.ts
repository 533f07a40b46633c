import pg from 'pg';
import type { Fleet } from './fleet.ts';

/** Rows of a fleet's database, on a connection of its own: also while services are away. */
export async function queryFleet<T extends pg.QueryResultRow>(
  { databaseUrl }: Fleet,
  sql: string,
  values: unknown[] = [],
): Promise<T[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return (await client.query<T>(sql, values)).rows;
  } finally {
    await client.end();
  }
}
