import { alreadyExists, failedPrecondition, unavailable } from '@longshore/errors';
import { compileToSql, type Filter, type SqlColumns } from '@longshore/filters';
import { isFleet, type Scope } from '@longshore/kit';
import type { Labels } from '@longshore/oci';
import {
  appendEvent,
  DELETION_REVISION,
  eventPart,
  eventValues,
  isForeignKeyViolation,
  isUniqueViolation,
  lockedScope,
  lockScope,
  orderedPages,
  type Pool,
  type Queryable,
  query,
  transaction,
} from '@longshore/postgres';
import type { SnapshotRecords } from '../../domain/catalogue.ts';
import {
  type Commit,
  type Committed,
  checkCommit,
  checkNewSnapshot,
  hasChild,
  type Lookup,
  type MountableSnapshot,
  missing,
  missingParent,
  type NewSnapshot,
  type Snapshot,
  type Taken,
  targetOf,
} from '../../domain/snapshot.ts';
import { snapshotEvents } from '../../events.ts';
import {
  COLUMNS,
  fromMountableRow,
  fromRow,
  MOUNTABLE_COLUMNS,
  type MountableRow,
  type PreparedRow,
  preparedFrom,
  type Row,
} from './snapshot-row.ts';

const BY_NAME = 'namespace = $1 AND node = $2 AND snapshotter = $3 AND name = $4';
/** What filters can ask for. */
const FILTERED: SqlColumns = {
  texts: {
    kind: { column: 'kind' },
    name: { column: 'name' },
    parent: { column: 'parent', isAlwaysPresent: true },
  },
  labels: { column: 'labels', notStored: new Set() },
};
/** Of the foreign key from a snapshot to its parent. */
const PARENT_KEY = 'snapshots_parent';

/** Each is lost to somebody who changed the parent, the target or the key between two statements. */
const PREPARE_ATTEMPTS = 5;

/** Of an event before its change: the statement of both draws it. */
const DRAWN_LATER = 0n;

const LOCKED_NAME = lockedScope(['snapshots', '$3::text', '$4::text']);

/** The conditions are those of `checkNewSnapshot`. */
const INSERTED = `
  WITH ${LOCKED_NAME}, parent AS (
    SELECT uid FROM snapshots
    WHERE namespace = $1 AND node = $2 AND snapshotter = $3 AND name = $6 AND kind = 'committed'
  ), prepared AS (
    INSERT INTO snapshots (namespace, node, snapshotter, name, revision, kind, parent, parent_uid, generation, labels)
    SELECT $1, $2, $3, $4, nextval('revision'), $5, $6, (SELECT uid FROM parent), $7, $8::jsonb FROM locked_scope
    WHERE ($6 = '' OR EXISTS (SELECT FROM parent)) AND NOT EXISTS (
      SELECT FROM snapshots WHERE namespace = $1 AND node = $2 AND snapshotter = $3 AND name = $9)
    RETURNING uid, revision, created_at, updated_at, ancestors_of(parent_uid) AS ancestors
  )`;
const PREPARE = `${INSERTED} SELECT * FROM prepared`;
const PREPARE_TOLD = `${INSERTED}, ${eventPart('prepared', 10)} SELECT * FROM prepared`;

const REMOVE = `
  WITH ${LOCKED_NAME}, gone AS (
    DELETE FROM snapshots USING locked_scope WHERE ${BY_NAME}
    RETURNING ${COLUMNS}, ${DELETION_REVISION} AS deletion
  ), buried AS (
    INSERT INTO tombstones (node, generation, namespace, snapshotter)
    SELECT node, generation, namespace, snapshotter FROM gone
  ), deleted AS (
    SELECT deletion AS revision FROM gone
  ), ${eventPart('deleted', 5)}
  SELECT * FROM gone`;

/** Snapshots of all scopes, in the table `snapshots`. */
export class SnapshotRepository implements SnapshotRecords {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Throws NotFound. */
  async get(scope: Scope, snapshotter: string, name: string): Promise<MountableSnapshot> {
    const rows = await query<MountableRow>(
      this.#pool,
      `SELECT ${MOUNTABLE_COLUMNS} FROM snapshots WHERE ${BY_NAME}`,
      [scope.namespace, scope.node, snapshotter, name],
    );
    if (!rows[0]) throw missing(name);
    return fromMountableRow(rows[0]);
  }

  async exists(scope: Scope, snapshotter: string, name: string): Promise<boolean> {
    const rows = await query(this.#pool, `SELECT 1 FROM snapshots WHERE ${BY_NAME}`, [
      scope.namespace,
      scope.node,
      snapshotter,
      name,
    ]);
    return rows.length > 0;
  }

  /** Every node's snapshot of that name in a namespace. */
  async find(namespace: string, snapshotter: string, name: string): Promise<Snapshot[]> {
    const rows = await query<Row>(
      this.#pool,
      `SELECT ${COLUMNS} FROM snapshots WHERE namespace = $1 AND snapshotter = $2 AND name = $3
       ORDER BY node COLLATE "C"`,
      [namespace, snapshotter, name],
    );
    return rows.map(fromRow);
  }

  /**
   * At least the snapshots that the filter matches, in byte order of the names, node by node. The fleet's scope, which
   * holds none of its own, means all nodes.
   */
  async *pages(scope: Scope, snapshotter: string, filter: Filter): AsyncGenerator<Snapshot[]> {
    const parameters: unknown[] = [scope.namespace, snapshotter];
    const onNode = isFleet(scope) ? 'true' : `node = $${parameters.push(scope.node)}`;
    const matching = compileToSql(filter, FILTERED, parameters) ?? 'true';
    const pages = orderedPages<Row>(this.#pool, {
      columns: COLUMNS,
      from: 'snapshots',
      where: `namespace = $1 AND snapshotter = $2 AND ${onNode} AND ${matching}`,
      parameters,
      order: ['node', 'name'],
    });
    for await (const rows of pages) yield rows.map(fromRow);
  }

  async prepare(scope: Scope, request: NewSnapshot): Promise<MountableSnapshot> {
    for (let attempt = 1; attempt <= PREPARE_ATTEMPTS; attempt++) {
      const prepared = await insert(this.#pool, scope, request);
      if (prepared) return prepared;
      const names = [request.key, request.parent, targetOf(request) ?? ''];
      checkNewSnapshot(request, await lookup(this.#pool, scope, request.snapshotter, names));
      // What was in the way has gone since, or the parent has come.
    }
    throw unavailable(`snapshot ${JSON.stringify(request.key)}: others change what it depends on`);
  }

  commit(scope: Scope, request: Commit): Promise<Committed> {
    const { snapshotter, name, key, labels, usage } = request;
    return transaction(this.#pool, async (tx) => {
      // Sorted: two commits that want the same two names must not each hold one of them.
      const names = [key, name].sort().map((each) => ['snapshots', snapshotter, each]);
      await lockScope(tx, scope, ...names);
      const found = await lookup(tx, scope, snapshotter, [key, name, request.parent]);
      const { active, newParent } = checkCommit(request, found);
      const { rows } = await tx
        .query<MountableRow & { key_revision: bigint }>(
          `UPDATE snapshots SET name = $2, kind = 'committed', labels = $3, size_bytes = $4, inodes = $5,
             parent = CASE WHEN $6::uuid IS NULL THEN parent ELSE $7 END, parent_uid = COALESCE($6, parent_uid),
             revision = nextval('revision'), created_at = clock_timestamp(), updated_at = clock_timestamp(),
             changed = pg_current_xact_id()
           WHERE uid = $1 RETURNING ${MOUNTABLE_COLUMNS}, ${DELETION_REVISION} AS key_revision`,
          [active.uid, name, labels, usage.sizeBytes, usage.inodes, newParent?.uid ?? null, request.parent],
        )
        .catch((error) => {
          throw isForeignKeyViolation(error, PARENT_KEY) ? missingParent(request.parent) : error;
        });
      const snapshot = fromMountableRow(rows[0]!);
      await appendEvent(tx, snapshotEvents.committed(snapshot, key));
      return { snapshot, keyRevision: rows[0]!.key_revision };
    });
  }

  updateLabels(
    scope: Scope,
    snapshotter: string,
    name: string,
    change: (stored: Snapshot) => Labels,
  ): Promise<MountableSnapshot> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['snapshots', snapshotter, name]);
      const found = await tx.query<Row>(
        `SELECT ${COLUMNS} FROM snapshots WHERE ${BY_NAME} FOR NO KEY UPDATE`,
        [scope.namespace, scope.node, snapshotter, name],
      );
      if (!found.rows[0]) throw missing(name);
      const stored = fromRow(found.rows[0]);
      const { rows } = await tx.query<MountableRow>(
        `UPDATE snapshots SET labels = $2, revision = nextval('revision'), updated_at = clock_timestamp(),
           changed = pg_current_xact_id()
         WHERE uid = $1 RETURNING ${MOUNTABLE_COLUMNS}`,
        [stored.uid, change(stored)],
      );
      return fromMountableRow(rows[0]!);
    });
  }

  async remove(scope: Scope, snapshotter: string, name: string): Promise<Snapshot> {
    const event = snapshotEvents.removed({ scope, snapshotter, name, revision: DRAWN_LATER });
    const values = [scope.namespace, scope.node, snapshotter, name, ...eventValues(event)];
    const [row] = await query<Row & { deletion: bigint }>(this.#pool, REMOVE, values).catch((error) => {
      throw isForeignKeyViolation(error, PARENT_KEY) ? hasChild() : error;
    });
    if (!row) throw missing(name);
    return { ...fromRow(row), revision: row.deletion };
  }
}

async function lookup(tx: Queryable, scope: Scope, snapshotter: string, names: string[]): Promise<Lookup> {
  const { rows } = await tx.query<Taken & { name: string }>(
    `SELECT name, uid, kind, parent FROM snapshots
     WHERE namespace = $1 AND node = $2 AND snapshotter = $3 AND name = ANY($4)`,
    [scope.namespace, scope.node, snapshotter, names],
  );
  return (name) => rows.find((row) => row.name === name);
}

/** Undefined when something is in the way, of which `checkNewSnapshot` knows. */
async function insert(
  pool: Pool,
  scope: Scope,
  request: NewSnapshot,
): Promise<MountableSnapshot | undefined> {
  const { snapshotter, key, kind, parent, generation, labels } = request;
  const event = snapshotEvents.prepared({ ...request, scope, name: key, revision: DRAWN_LATER });
  const values = [scope.namespace, scope.node, snapshotter, key, kind, parent, generation, labels];
  values.push(targetOf(request) ?? '');
  try {
    const [row] = event
      ? await query<PreparedRow>(pool, PREPARE_TOLD, [...values, ...eventValues(event)])
      : await query<PreparedRow>(pool, PREPARE, values);
    return row && preparedFrom(scope, request, row);
  } catch (error) {
    if (isForeignKeyViolation(error, PARENT_KEY)) throw missingParent(parent);
    if (isUniqueViolation(error, 'snapshots_name')) throw alreadyExists(`snapshot ${JSON.stringify(key)}`);
    if (isUniqueViolation(error, 'snapshots_generation')) {
      throw failedPrecondition(`snapshot generation ${JSON.stringify(generation)} is in use`, {
        cause: error,
      });
    }
    throw error;
  }
}
