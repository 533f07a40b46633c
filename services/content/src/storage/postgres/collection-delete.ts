import type { Scope } from '@longshore/kit';
import type { Queryable } from '@longshore/postgres';
import type { Candidate, Removed } from '../../domain/collection.ts';

interface DeletedRow {
  kind: string;
  key: string;
  topic: string | null;
  type_url: string | null;
  payload: Buffer | null;
}

/**
 * Removes records by their services' `gc_delete`, each service's in the order given. The transaction holds the scope's lock
 * alone.
 */
export async function deleteRecords(
  tx: Queryable,
  scope: Scope,
  doomed: readonly Candidate[],
): Promise<Removed[]> {
  const removed: Removed[] = [];
  for (const [schema, records] of Map.groupBy(doomed, (candidate) => candidate.schema)) {
    const deleted = await tx.query<DeletedRow>(`SELECT * FROM ${schema}.gc_delete($1, $2, $3, $4, $5)`, [
      scope.namespace,
      scope.node,
      records.map(({ kind }) => kind),
      records.map(({ key }) => key),
      records.map(({ uid }) => uid),
    ]);
    removed.push(...deleted.rows.map((row) => removedFromRow(scope, row)));
  }
  return removed;
}

function removedFromRow({ namespace }: Scope, { kind, key, topic, type_url, payload }: DeletedRow): Removed {
  const hasEvent = topic !== null && type_url !== null && payload !== null;
  return { kind, key, event: hasEvent ? { namespace, topic, typeUrl: type_url, payload } : undefined };
}
