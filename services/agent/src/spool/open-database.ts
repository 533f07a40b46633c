import { DatabaseSync } from 'node:sqlite';

/**
 * Opens one of this node's own databases, or makes it; `schema` must be safe to run again.
 *
 * A commit is in the kernel's hands when the statement returns, so it survives any death of this process. It is not
 * waited for on the disk (`synchronous = NORMAL`): that would stop the one event loop for milliseconds with every
 * event. Losing power may lose the last commits, never the file; and the containers of that time are gone with them.
 */
export function openDatabase(path: string, schema: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 5_000 });
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
  database.exec(schema);
  return database;
}
