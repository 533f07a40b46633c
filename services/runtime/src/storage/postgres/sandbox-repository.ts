import { alreadyExists, notFound } from '@longshore/errors';
import { compileToSql, type Filter, type SqlColumns } from '@longshore/filters';
import type { Scope } from '@longshore/kit';
import type { Labels } from '@longshore/oci';
import {
  DELETION_REVISION,
  isUniqueViolation,
  lockScope,
  orderedPages,
  type Pool,
  query,
  type RecordTable,
  transaction,
} from '@longshore/postgres';
import type { Sandbox, SandboxSpec } from '../../domain/sandbox.ts';
import { fromStoredAny, mapValues, type StoredAny, toStoredAny } from './stored-any.ts';

interface Row {
  uid: string;
  namespace: string;
  node: string;
  id: string;
  revision: bigint;
  labels: Labels;
  runtime_name: string;
  runtime_options: StoredAny | null;
  spec: StoredAny | null;
  extensions: Record<string, StoredAny>;
  sandboxer: string;
  created_at: Date;
  updated_at: Date;
}

const COLUMNS = `uid, namespace, node, id, revision, labels, runtime_name, runtime_options, spec, extensions,
  sandboxer, created_at, updated_at`;
const BY_NAME = 'namespace = $1 AND node = $2 AND id = $3';

/** A spec may be as large as a message. */
const SANDBOX_PAGE_ROWS = 100;

/** What filters can ask for. */
const FILTERED: SqlColumns = {
  texts: { id: { column: 'id' } },
  labels: { column: 'labels', notStored: new Set() },
};

/** For the watch. Specs may be large. */
export const sandboxTable: RecordTable<Row, Sandbox> = {
  columns: COLUMNS,
  from: 'sandboxes',
  alias: 'sandboxes',
  pageRows: 50,
  itemOf: fromRow,
};

/** Sandboxes of all scopes, in the table `sandboxes`. */
export class SandboxRepository {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Throws NotFound. */
  async get(scope: Scope, id: string): Promise<Sandbox> {
    const rows = await query<Row>(
      this.#pool,
      `SELECT ${COLUMNS} FROM sandboxes WHERE ${BY_NAME}`,
      nameOf(scope, id),
    );
    if (!rows[0]) throw missing(scope, id);
    return fromRow(rows[0]);
  }

  /** At least the sandboxes that the filter matches, in byte order of the ids. */
  async *pages(scope: Scope, filter: Filter): AsyncGenerator<Sandbox[]> {
    const parameters: unknown[] = [scope.namespace, scope.node];
    const matching = compileToSql(filter, FILTERED, parameters) ?? 'true';
    const pages = orderedPages<Row>(this.#pool, {
      columns: COLUMNS,
      from: 'sandboxes',
      where: `namespace = $1 AND node = $2 AND ${matching}`,
      parameters,
      order: ['id'],
      pageRows: SANDBOX_PAGE_ROWS,
    });
    for await (const rows of pages) yield rows.map(fromRow);
  }

  /** Throws AlreadyExists. */
  create(scope: Scope, spec: SandboxSpec): Promise<Sandbox> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['sandboxes', spec.id]);
      try {
        const { rows } = await tx.query<Row>(
          `INSERT INTO sandboxes (namespace, node, id, revision, labels, runtime_name, runtime_options, spec,
             extensions, sandboxer)
           VALUES ($1, $2, $3, nextval('revision'), $4, $5, $6, $7, $8, $9) RETURNING ${COLUMNS}`,
          [...nameOf(scope, spec.id), ...mutableValues(spec), spec.sandboxer],
        );
        return fromRow(rows[0]!);
      } catch (error) {
        if (!isUniqueViolation(error, 'sandboxes_name')) throw error;
        throw alreadyExists(subject(scope, spec.id), { cause: error });
      }
    });
  }

  /** Reads, changes and writes one sandbox under its lock. Throws NotFound. */
  update(scope: Scope, id: string, change: (stored: Sandbox) => Sandbox): Promise<Sandbox> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope);
      const found = await tx.query<Row>(
        `SELECT ${COLUMNS} FROM sandboxes WHERE ${BY_NAME} FOR UPDATE`,
        nameOf(scope, id),
      );
      if (!found.rows[0]) throw missing(scope, id);
      const changed = change(fromRow(found.rows[0]));
      const { rows } = await tx.query<Row>(
        `UPDATE sandboxes SET revision = nextval('revision'), labels = $2, runtime_name = $3, runtime_options = $4,
           spec = $5, extensions = $6, updated_at = clock_timestamp(), changed = pg_current_xact_id()
         WHERE uid = $1 RETURNING ${COLUMNS}`,
        [changed.uid, ...mutableValues(changed)],
      );
      return fromRow(rows[0]!);
    });
  }

  /** Throws NotFound. The sandbox returned carries the revision of its deletion. */
  delete(scope: Scope, id: string): Promise<Sandbox> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['sandboxes', id]);
      const { rows } = await tx.query<Row & { deletion: bigint }>(
        `DELETE FROM sandboxes WHERE ${BY_NAME} RETURNING ${COLUMNS}, ${DELETION_REVISION} AS deletion`,
        nameOf(scope, id),
      );
      if (!rows[0]) throw missing(scope, id);
      return { ...fromRow(rows[0]), revision: rows[0].deletion };
    });
  }
}

function nameOf(scope: Scope, id: string): string[] {
  return [scope.namespace, scope.node, id];
}

function subject(scope: Scope, id: string): string {
  return `sandbox ${JSON.stringify(id)} in namespace ${JSON.stringify(scope.namespace)}`;
}

function missing(scope: Scope, id: string): Error {
  return notFound(subject(scope, id));
}

function mutableValues(spec: SandboxSpec): unknown[] {
  return [
    spec.labels,
    spec.runtime.name,
    spec.runtime.options ? toStoredAny(spec.runtime.options) : null,
    spec.spec ? toStoredAny(spec.spec) : null,
    mapValues(spec.extensions, toStoredAny),
  ];
}

function fromRow(row: Row): Sandbox {
  return {
    uid: row.uid,
    scope: { namespace: row.namespace, node: row.node },
    id: row.id,
    revision: row.revision,
    labels: row.labels,
    runtime: {
      name: row.runtime_name,
      options: row.runtime_options ? fromStoredAny(row.runtime_options) : undefined,
    },
    spec: row.spec ? fromStoredAny(row.spec) : undefined,
    extensions: mapValues(row.extensions, fromStoredAny),
    sandboxer: row.sandboxer,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
