import { alreadyExists, notFound } from '@longshore/errors';
import { compileToSql, type Filter, type SqlColumns } from '@longshore/filters';
import { type ListPart, type Scope, WHOLE_LIST } from '@longshore/kit';
import { expiryOf, type Labels } from '@longshore/oci';
import {
  isForeignKeyViolation,
  isUniqueViolation,
  LOCKED_SCOPE,
  lockedScope,
  orderedPages,
  type Pool,
  query,
} from '@longshore/postgres';
import type { Lease, LeaseResource } from '../../domain/lease.ts';

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

/** What filters can ask for. */
const FILTERED: SqlColumns = {
  texts: { id: { column: 'l.id' } },
  labels: { column: 'l.labels', notStored: new Set() },
};

const LOCKED_NAME = lockedScope(['leases', '$3::text']);

/** Leases and what they keep, in the tables `leases` and `lease_resources`. */
export class LeaseRepository {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Makes the scope's namespace known too, and answers its revision when it was not. Throws AlreadyExists. */
  async create(
    scope: Scope,
    id: string,
    labels: Labels,
  ): Promise<{ lease: Lease; namespaceRevision: bigint | undefined }> {
    try {
      const rows = await query<Row & { namespace_revision: bigint | null }>(
        this.#pool,
        `WITH ${LOCKED_NAME}, known_namespace AS (
           INSERT INTO namespaces (namespace, node, revision)
           SELECT $1, $2, nextval('revision') FROM locked_scope
           WHERE NOT EXISTS (SELECT FROM namespaces WHERE namespace = $1 AND node = $2)
           ON CONFLICT DO NOTHING RETURNING revision
         )
         INSERT INTO leases (namespace, node, id, revision, labels, expires_at)
         SELECT $1, $2, $3, nextval('revision'), $4::jsonb, $5::timestamptz FROM locked_scope
         RETURNING ${COLUMNS}, (SELECT revision FROM known_namespace) AS namespace_revision`,
        [scope.namespace, scope.node, id, labels, expiryOf(labels) ?? null],
      );
      const row = rows[0]!;
      return { lease: fromRow(row), namespaceRevision: row.namespace_revision ?? undefined };
    } catch (error) {
      if (isUniqueViolation(error, 'leases_name')) throw alreadyExists(subject(id), { cause: error });
      throw error;
    }
  }

  /** Throws NotFound. */
  async delete(scope: Scope, id: string): Promise<void> {
    const rows = await query(
      this.#pool,
      `WITH ${LOCKED_NAME} DELETE FROM leases USING locked_scope WHERE ${BY_NAME} RETURNING uid`,
      [scope.namespace, scope.node, id],
    );
    if (rows.length === 0) throw missing(id);
  }

  /** At least the leases that the filter matches, from the part's first name on and then at least as many as it wants, in byte order of the ids. */
  async *pages(scope: Scope, filter: Filter, part: ListPart = WHOLE_LIST): AsyncGenerator<Lease[]> {
    const parameters: unknown[] = [scope.namespace, scope.node];
    const matching = compileToSql(filter, FILTERED, parameters) ?? 'true';
    const pages = orderedPages<Row>(this.#pool, {
      columns: COLUMNS,
      from: 'leases AS l',
      where: `l.namespace = $1 AND l.node = $2 AND ${matching}`,
      parameters,
      order: ['l.id'],
      part,
    });
    for await (const rows of pages) yield rows.map(fromRow);
  }

  /** The resource need not exist; adding it twice is fine. Throws NotFound for an unknown lease. */
  async addResource(scope: Scope, id: string, { kind, key }: LeaseResource): Promise<void> {
    try {
      const rows = await query(
        this.#pool,
        `WITH ${LOCKED_SCOPE}
         INSERT INTO lease_resources (lease, kind, key)
         SELECT uid, $4, $5 FROM locked_scope, leases WHERE ${BY_NAME}
         ON CONFLICT (lease, kind, key) DO UPDATE SET changed = pg_current_xact_id()
         RETURNING lease`,
        [scope.namespace, scope.node, id, kind, key],
      );
      if (rows.length === 0) throw missing(id);
    } catch (error) {
      // The lease went while the lock was waited for.
      if (isForeignKeyViolation(error, 'lease_resources_lease'))
        throw notFound(subject(id), { cause: error });
      throw error;
    }
  }

  /** Removing what is not there succeeds. Throws NotFound for an unknown lease. */
  async deleteResource(scope: Scope, id: string, { kind, key }: LeaseResource): Promise<void> {
    const rows = await query(
      this.#pool,
      `WITH ${LOCKED_SCOPE}, lease AS (SELECT uid FROM locked_scope, leases WHERE ${BY_NAME}),
       gone AS (DELETE FROM lease_resources AS r USING lease WHERE r.lease = lease.uid AND r.kind = $4 AND r.key = $5)
       SELECT uid FROM lease`,
      [scope.namespace, scope.node, id, kind, key],
    );
    if (rows.length === 0) throw missing(id);
  }

  /** By kind, then in byte order of the keys. Throws NotFound for an unknown lease. */
  async listResources(scope: Scope, id: string): Promise<LeaseResource[]> {
    return query<LeaseResource>(
      this.#pool,
      `SELECT kind, key FROM lease_resources WHERE lease = $1 ORDER BY kind, key COLLATE "C"`,
      [await this.#uidOf(scope, id)],
    );
  }

  async #uidOf(scope: Scope, id: string): Promise<string> {
    const rows = await query<{ uid: string }>(this.#pool, `SELECT uid FROM leases WHERE ${BY_NAME}`, [
      scope.namespace,
      scope.node,
      id,
    ]);
    if (!rows[0]) throw missing(id);
    return rows[0].uid;
  }
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
