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

/**
 * `lockScope` for a change that is one statement: a part of it, for the scope given by the parameters 1 and 2, which the
 * statement joins. Each of `names` is SQL for the parts of a name behind the scope's, with the table first. The rest of the
 * statement sees what was committed before it began, also when it had to wait: what has to be looked at as it is then is
 * looked at by a VOLATILE function.
 */
export function lockedScope(...names: readonly (readonly [table: string, ...name: string[]])[]): string {
  const keys = names.map(([table, ...name]) => [`'${table}'`, '$1::text', '$2::text', ...name]);
  const lock = (key: readonly string[]) => `(hashtextextended(concat_ws(chr(1), ${key.join(', ')}), 0))`;
  const locks = keys.map((key) => `, pg_advisory_xact_lock${lock(key)}`);
  const shared = `pg_advisory_xact_lock_shared${lock(["'gc'", '$1::text', '$2::text'])}`;
  return `locked_scope AS MATERIALIZED (SELECT ${shared}${locks.join('')})`;
}

/** {@link lockedScope} without names. */
export const LOCKED_SCOPE = lockedScope();

/** Waits until nobody changes the scope, and lets nobody until the transaction ends. */
export async function lockScopeAlone(tx: Queryable, scope: LockedScope): Promise<void> {
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [scopeKey(scope)]);
}

function scopeKey({ namespace, node }: LockedScope): string {
  return ['gc', namespace, node].join(SEPARATOR);
}
