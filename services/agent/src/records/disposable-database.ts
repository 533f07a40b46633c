import { rmSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { openDatabase } from '../spool/open-database.ts';

/** Codes of SQLite: an error in the SQL of another version's tables, a corrupt file, none of SQLite's at all. */
const UNREADABLE: ReadonlySet<unknown> = new Set([1, 11, 26]);

/**
 * Opens a database of what can be had again from the control plane: one that cannot be read, or that `isWanted` turns
 * down, is made anew.
 */
export function openDisposable(
  path: string,
  schema: string,
  isWanted: (database: DatabaseSync) => boolean = () => true,
): DatabaseSync {
  try {
    const database = openDatabase(path, schema);
    if (isWanted(database)) return database;
    database.close();
  } catch (error) {
    if (!UNREADABLE.has((error as { errcode?: number }).errcode)) throw error;
  }
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
  return openDatabase(path, schema);
}
