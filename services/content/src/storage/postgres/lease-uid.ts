import { notFound } from '@longshore/errors';
import type { Scope } from '@longshore/kit';
import type { Queryable } from '@longshore/postgres';

/** The lease that a call's header names; it stays until the transaction ends. Throws NotFound. */
export async function leaseUid(tx: Queryable, scope: Scope, id: string): Promise<string> {
  const { rows } = await tx.query<{ uid: string }>(
    'SELECT uid FROM leases WHERE namespace = $1 AND node = $2 AND id = $3 FOR KEY SHARE',
    [scope.namespace, scope.node, id],
  );
  if (!rows[0]) throw notFound('lease does not exist');
  return rows[0].uid;
}
