import type { Queryable } from './pool.ts';

/**
 * Takes the lock of one name until the transaction ends. Everything that creates or deletes a record by name takes
 * it first, so that revisions of a name only grow: without it a create that waits for a delete to commit has
 * drawn its revision too early.
 */
export async function lockName(tx: Queryable, table: string, ...name: string[]): Promise<void> {
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [[table, ...name].join('\u0001')]);
}
