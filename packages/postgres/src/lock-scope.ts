import type { Queryable } from './pool.ts';

/** No name holds it. */
const SEPARATOR = '\u0001';

export interface LockedScope {
  readonly namespace: string;
  readonly node: string;
}

/**
 * Keeps the garbage collector out of a scope until the transaction ends, and takes the lock of each name
 * (`[table, ...name]`, as `lockName` does for names without a scope), all in one round trip and in this order.
 * Every transaction that creates, changes or deletes a record that the collector sees begins with it, and looks at
 * what it refers to only then. Source: services/content/README.md, collection contract.
 */
export async function lockScope(
  tx: Queryable,
  scope: LockedScope,
  ...names: readonly (readonly string[])[]
): Promise<void> {
  const locks = names.map((_, index) => `, pg_advisory_xact_lock(hashtextextended($${index + 2}, 0))`);
  await tx.query(`SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))${locks.join('')}`, [
    scopeKey(scope),
    ...names.map(([table, ...name]) => [table, scope.namespace, scope.node, ...name].join(SEPARATOR)),
  ]);
}

/** Waits until nobody changes the scope, and lets nobody until the transaction ends. */
export async function lockScopeAlone(tx: Queryable, scope: LockedScope): Promise<void> {
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [scopeKey(scope)]);
}

function scopeKey({ namespace, node }: LockedScope): string {
  return ['gc', namespace, node].join(SEPARATOR);
}
