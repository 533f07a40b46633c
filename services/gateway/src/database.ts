import { migrate } from '@longshore/postgres';

export const SCHEMA = 'gateway';
export const MIGRATIONS = new URL('./storage/postgres/migrations/', import.meta.url);

/** Brings the schema up to date; replicas that start together wait for one another. */
export async function prepareDatabase(url: string): Promise<void> {
  await migrate({ url, schema: SCHEMA, directory: MIGRATIONS });
}
