import { alreadyExists, notFound } from '@longshore/errors';
import type { Scope } from '@longshore/kit';
import { expiryOf, type Labels } from '@longshore/oci';
import { isUniqueViolation, type Pool, type Queryable, query, transaction } from '@longshore/postgres';
import type { Lease, LeaseResource } from '../../domain/lease.ts';
import { lockScope } from './scope-lock.ts';

interface Row {
  uid: string;
  namespace: string;
  node: string;
  id: string;
  revision: bigint;
  labels: Labels;
  created_at: Date;
}

const COLUMNS = 'uid, namespace, node, id, revision, labels, created_at';
const BY_NAME = 'namespace = $1 AND node = $2 AND id = $3';

/** Leases and what they keep, in the tables `leases` and `lease_resources`. */
export class LeaseRepository {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Throws AlreadyExists. */
  create(scope: Scope, id: string, labels: Labels): Promise<Lease> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['leases', id]);
      try {
        const { rows } = await tx.query<Row>(
          `WITH known_namespace AS (
             INSERT INTO namespaces (namespace, node, revision)
             SELECT $1, $2, nextval('revision')
             WHERE NOT EXISTS (SELECT FROM namespaces WHERE namespace = $1 AND node = $2)
             ON CONFLICT DO NOTHING
           )
           INSERT INTO leases (namespace, node, id, revision, labels, expires_at)
           VALUES ($1, $2, $3, nextval('revision'), $4, $5) RETURNING ${COLUMNS}`,
          [scope.namespace, scope.node, id, labels, expiryOf(labels) ?? null],
        );
        return fromRow(rows[0]!);
      } catch (error) {
        if (isUniqueViolation(error, 'leases_name')) throw alreadyExists(subject(id), { cause: error });
        throw error;
      }
    });
  }

  /** Throws NotFound. */
  delete(scope: Scope, id: string): Promise<void> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['leases', id]);
      const { rows } = await tx.query(`DELETE FROM leases WHERE ${BY_NAME} RETURNING uid`, [
        scope.namespace,
        scope.node,
        id,
      ]);
      if (rows.length === 0) throw missing(id);
    });
  }

  /** In byte order of the ids. */
  async list(scope: Scope): Promise<Lease[]> {
    const rows = await query<Row>(
      this.#pool,
      `SELECT ${COLUMNS} FROM leases WHERE namespace = $1 AND node = $2 ORDER BY id COLLATE "C"`,
      [scope.namespace, scope.node],
    );
    return rows.map(fromRow);
  }

  /** The resource need not exist; adding it twice is fine. Throws NotFound for an unknown lease. */
  addResource(scope: Scope, id: string, { kind, key }: LeaseResource): Promise<void> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope);
      await tx.query(
        `INSERT INTO lease_resources (lease, kind, key) VALUES ($1, $2, $3)
         ON CONFLICT (lease, kind, key) DO UPDATE SET changed = pg_current_xact_id()`,
        [await uidOf(tx, scope, id), kind, key],
      );
    });
  }

  /** Removing what is not there succeeds. Throws NotFound for an unknown lease. */
  deleteResource(scope: Scope, id: string, { kind, key }: LeaseResource): Promise<void> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope);
      await tx.query('DELETE FROM lease_resources WHERE lease = $1 AND kind = $2 AND key = $3', [
        await uidOf(tx, scope, id),
        kind,
        key,
      ]);
    });
  }

  /** By kind, then in byte order of the keys. Throws NotFound for an unknown lease. */
  async listResources(scope: Scope, id: string): Promise<LeaseResource[]> {
    return query<LeaseResource>(
      this.#pool,
      `SELECT kind, key FROM lease_resources WHERE lease = $1 ORDER BY kind, key COLLATE "C"`,
      [await uidOf(this.#pool, scope, id)],
    );
  }
}

async function uidOf(tx: Queryable, scope: Scope, id: string): Promise<string> {
  const rows = await query<{ uid: string }>(tx, `SELECT uid FROM leases WHERE ${BY_NAME} FOR KEY SHARE`, [
    scope.namespace,
    scope.node,
    id,
  ]);
  if (!rows[0]) throw missing(id);
  return rows[0].uid;
}

function subject(id: string): string {
  return `lease ${JSON.stringify(id)}`;
}

function missing(id: string): Error {
  return notFound(subject(id));
}

function fromRow(row: Row): Lease {
  return {
    uid: row.uid,
    scope: { namespace: row.namespace, node: row.node },
    id: row.id,
    revision: row.revision,
    labels: row.labels,
    createdAt: row.created_at,
  };
}
