import type { Scope } from '@longshore/kit';
import type { Queryable } from '@longshore/postgres';

/**
 * Takes, in one round trip and in this order, the scope's lock, shared, which keeps the collector from removing
 * what the transaction is about to refer to, and the lock of each name, so that revisions of a name only grow.
 * It must be the first statement of its transaction.
 */
export async function lockNames(
  tx: Queryable,
  scope: Scope,
  snapshotter: string,
  ...names: string[]
): Promise<void> {
  const { namespace, node } = scope;
  // Sorted: two transactions that want the same two names must not each hold one of them.
  const own = names.sort().map((name) => ['snapshots', namespace, node, snapshotter, name].join('\u0001'));
  const locks = own.map((_, index) => `, pg_advisory_xact_lock(hashtextextended($${index + 2}, 0))`);
  await tx.query(`SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))${locks.join('')}`, [
    ['gc', namespace, node].join('\u0001'),
    ...own,
  ]);
}
