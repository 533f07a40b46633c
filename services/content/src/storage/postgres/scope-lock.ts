import type { Scope } from '@longshore/kit';
import type { Queryable } from '@longshore/postgres';

/** The separator of the collection contract and of `lockName`; no name may hold it. */
const SEPARATOR = '\u0001';

/**
 * Takes the scope's lock of the collection contract, shared, and then the locks of names, in this order. It must
 * be the first statement of a transaction: what the next one reads is then what the collector has left.
 */
export async function lockScope(tx: Queryable, scope: Scope, ...names: readonly string[][]): Promise<void> {
  const locks = names.map((_, n) => `, pg_advisory_xact_lock(hashtextextended($${n + 2}, 0))`);
  await tx.query(`SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))${locks.join('')}`, [
    scopeKey(scope),
    ...names.map(([table, ...name]) => [table, scope.namespace, scope.node, ...name].join(SEPARATOR)),
  ]);
}

/**
 * The same for a single statement that changes records without looking at others first: a common table expression
 * of the scope given by the parameters 1 and 2, which the statement joins. An expression, `, <lock of a name>`, may
 * follow the first lock.
 */
export const LOCKED_SCOPE = lockedScope();

export function lockedScope(...nameLocks: readonly string[]): string {
  const locks = [
    "pg_advisory_xact_lock_shared(hashtextextended(concat_ws(chr(1), 'gc', $1::text, $2::text), 0))",
  ];
  return `locked_scope AS MATERIALIZED (SELECT ${[...locks, ...nameLocks].join(', ')})`;
}

/** Waits until nobody changes the scope, and lets nobody until the transaction ends. */
export async function lockScopeAlone(tx: Queryable, scope: Scope): Promise<void> {
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [scopeKey(scope)]);
}

function scopeKey({ namespace, node }: Scope): string {
  return ['gc', namespace, node].join(SEPARATOR);
}
