/**
 * `lockScope` for a single statement that changes records without looking at others first: a common table expression
 * of the scope given by the parameters 1 and 2, which the statement joins.
 */
export const LOCKED_SCOPE = lockedScope();

/** The same, with expressions that take the locks of names behind the scope's. */
export function lockedScope(...nameLocks: readonly string[]): string {
  const locks = [
    "pg_advisory_xact_lock_shared(hashtextextended(concat_ws(chr(1), 'gc', $1::text, $2::text), 0))",
  ];
  return `locked_scope AS MATERIALIZED (SELECT ${[...locks, ...nameLocks].join(', ')})`;
}
