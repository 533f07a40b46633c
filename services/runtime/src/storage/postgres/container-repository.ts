import { alreadyExists, internal, notFound } from '@longshore/errors';
import { compileToSql, type Filter } from '@longshore/filters';
import type { Scope } from '@longshore/kit';
import type { Labels } from '@longshore/oci';
import {
  appendEvent,
  DELETION_REVISION,
  eventPart,
  eventValues,
  isUniqueViolation,
  lockedScope,
  lockScope,
  type OutboxEvent,
  orderedPages,
  type Pool,
  type Queryable,
  query,
  type RecordTable,
  transaction,
} from '@longshore/postgres';
import type { Container, ContainerSpec, DeletedContainer, NewContainer } from '../../domain/container.ts';
import { type Node, requireOpen } from '../../domain/node.ts';
import { CONTAINER_FILTERS } from './container-filters.ts';
import { fromStoredAny, mapValues, type StoredAny, toStoredAny } from './stored-any.ts';

interface Row {
  uid: string;
  namespace: string;
  node: string;
  id: string;
  revision: bigint;
  labels: Labels;
  image: string;
  runtime_name: string;
  runtime_options: StoredAny | null;
  spec_type_url: string;
  spec: Buffer;
  snapshotter: string;
  snapshot_key: string;
  extensions: Record<string, StoredAny>;
  sandbox: string;
  created_at: Date;
  updated_at: Date;
  deleting_at: Date | null;
}

/** The event of a change, made from the container after it. */
type EventOf = (container: Container) => OutboxEvent;
type CreationEventOf = (container: NewContainer) => OutboxEvent;
type DeletionEventOf = (container: DeletedContainer) => OutboxEvent;

/** Without a revision nothing was created, and the node says why. */
type CreationRow = Pick<Node, 'state' | 'cordoned'> &
  Pick<Row, 'uid' | 'created_at' | 'updated_at'> & { revision: bigint | null };

const COLUMNS = `uid, namespace, node, id, revision, labels, image, runtime_name, runtime_options, spec_type_url,
  spec, snapshotter, snapshot_key, extensions, sandbox, created_at, updated_at, deleting_at`;

/** A spec may be as large as a message. */
const CONTAINER_PAGE_ROWS = 100;

/** For the watch. Specs may be large. */
export const containerTable: RecordTable<Row, Container> = {
  columns: COLUMNS,
  from: 'containers',
  alias: 'containers',
  pageRows: 50,
  itemOf: fromRow,
};

/** Containers of all scopes, in the table `containers`. Every change writes its event in the same transaction. */
export class ContainerRepository {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async get(scope: Scope, id: string): Promise<Container> {
    const rows = await query<Row>(this.#pool, `SELECT ${COLUMNS} FROM containers WHERE ${BY_NAME}`, [
      scope.namespace,
      scope.node,
      id,
    ]);
    if (!rows[0]) throw missing(scope, id);
    return fromRow(rows[0]);
  }

  /** At least the containers that the filter matches, in byte order of the ids. */
  async *pages(scope: Scope, filter: Filter): AsyncGenerator<Container[]> {
    const parameters: unknown[] = [scope.namespace, scope.node];
    const matching = compileToSql(filter, CONTAINER_FILTERS, parameters) ?? 'true';
    const pages = orderedPages<Row>(this.#pool, {
      columns: COLUMNS,
      from: 'containers',
      where: `namespace = $1 AND node = $2 AND ${matching}`,
      parameters,
      order: ['id'],
      pageRows: CONTAINER_PAGE_ROWS,
    });
    for await (const rows of pages) yield rows.map(fromRow);
  }

  /** Throws AlreadyExists, and FailedPrecondition when the node takes no new containers. */
  async create(scope: Scope, spec: ContainerSpec, eventOf: CreationEventOf): Promise<Container> {
    const { namespace, node } = scope;
    const event = eventOf({ ...spec, scope, revision: DRAWN_LATER });
    const values = [namespace, node, spec.id, ...columnValues(spec), ...eventValues(event)];
    try {
      const [row] = await query<CreationRow>(this.#pool, CREATE, values);
      if (row?.revision) return createdFrom(scope, spec, row);
      requireOpen({ id: node, ...row! });
      throw internal(`${subject(scope, spec.id)}: was not created`);
    } catch (error) {
      if (isUniqueViolation(error, 'containers_name'))
        throw alreadyExists(subject(scope, spec.id), { cause: error });
      throw error;
    }
  }

  /** Reads, changes and writes one container under its lock. Throws NotFound. */
  update(
    scope: Scope,
    id: string,
    change: (stored: Container) => Container,
    eventOf: EventOf,
  ): Promise<Container> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope);
      const changed = change(await hold(tx, scope, id));
      const { rows } = await tx.query<Row>(
        `UPDATE containers SET revision = nextval('revision'), labels = $2, image = $3, runtime_name = $4,
           runtime_options = $5, spec_type_url = $6, spec = $7, snapshotter = $8, snapshot_key = $9,
           extensions = $10, sandbox = $11, updated_at = clock_timestamp(), changed = pg_current_xact_id()
         WHERE uid = $1 RETURNING ${COLUMNS}`,
        [changed.uid, ...columnValues(changed)],
      );
      const updated = fromRow(rows[0]!);
      await appendEvent(tx, eventOf(updated));
      return updated;
    });
  }

  /** Ids of the nodes that have a container of this id, in byte order. */
  async nodesOf(namespace: string, id: string): Promise<string[]> {
    const rows = await query<{ node: string }>(
      this.#pool,
      'SELECT node FROM containers WHERE namespace = $1 AND id = $2 ORDER BY node COLLATE "C"',
      [namespace, id],
    );
    return rows.map(({ node }) => node);
  }

  /**
   * Ids of at least the nodes that have a container which matches, in byte order; undefined when the filter asks for
   * nothing that can be looked up, so that any node may have one.
   */
  async nodesMatching(namespace: string, filter: Filter): Promise<string[] | undefined> {
    const parameters: unknown[] = [namespace];
    const condition = compileToSql(filter, CONTAINER_FILTERS, parameters);
    if (condition === undefined) return undefined;
    const rows = await query<{ node: string }>(
      this.#pool,
      `SELECT node FROM containers WHERE namespace = $1 AND ${condition} GROUP BY node ORDER BY node COLLATE "C"`,
      parameters,
    );
    return rows.map(({ node }) => node);
  }

  /**
   * The container stays, as it is, until its node agrees that it goes. Asking again changes nothing. Throws NotFound, and what
   * `check` throws, which keeps it as it is.
   */
  markDeleting(scope: Scope, id: string, check: (stored: Container) => void): Promise<Container> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['containers', id]);
      check(await hold(tx, scope, id));
      await tx.query(
        `UPDATE containers SET revision = nextval('revision'), deleting_at = clock_timestamp(),
           changed = pg_current_xact_id() WHERE ${BY_NAME} AND deleting_at IS NULL`,
        [scope.namespace, scope.node, id],
      );
      const { rows } = await tx.query<Row>(`SELECT ${COLUMNS} FROM containers WHERE ${BY_NAME}`, [
        scope.namespace,
        scope.node,
        id,
      ]);
      if (!rows[0]) throw missing(scope, id);
      return fromRow(rows[0]);
    });
  }

  /**
   * Throws NotFound, and what `check` throws, which keeps the container. What is returned carries the revision of the
   * deletion. While a task of it runs, what that has mounted is kept until {@link releaseTask}.
   */
  delete(
    scope: Scope,
    id: string,
    eventOf: DeletionEventOf,
    { hasTask = false, check }: { hasTask?: boolean; check?: (stored: Container) => void } = {},
  ): Promise<DeletedContainer> {
    if (!check) return this.#delete(this.#pool, scope, id, DELETE, eventOf, hasTask);
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['containers', id]);
      check(await hold(tx, scope, id));
      return this.#delete(tx, scope, id, DELETE, eventOf, hasTask);
    });
  }

  /** The task of a deleted container does not run any more. */
  async releaseTask(scope: Scope, id: string): Promise<void> {
    await transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope);
      await tx.query(`DELETE FROM live_tasks WHERE ${BY_NAME}`, [scope.namespace, scope.node, id]);
    });
  }

  /** As {@link delete}, for a container that is marked: any other is NotFound. */
  deleteMarked(scope: Scope, id: string, eventOf: DeletionEventOf): Promise<DeletedContainer> {
    return this.#delete(this.#pool, scope, id, DELETE_MARKED, eventOf, false);
  }

  async #delete(
    db: Queryable,
    scope: Scope,
    id: string,
    statement: string,
    eventOf: DeletionEventOf,
    hasTask: boolean,
  ): Promise<DeletedContainer> {
    const event = eventOf({ scope, id, revision: DRAWN_LATER });
    const values = [scope.namespace, scope.node, id, hasTask, ...eventValues(event)];
    const [row] = await query<{ revision: bigint }>(db, statement, values);
    if (!row) throw missing(scope, id);
    return { scope, id, revision: row.revision };
  }
}

const BY_NAME = 'namespace = $1 AND node = $2 AND id = $3';

/** Reads a container and keeps others from changing it until the transaction ends. */
async function hold(tx: Queryable, scope: Scope, id: string): Promise<Container> {
  const values = [scope.namespace, scope.node, id];
  const found = await tx.query<Row>(`SELECT ${COLUMNS} FROM containers WHERE ${BY_NAME} FOR UPDATE`, values);
  if (!found.rows[0]) throw missing(scope, id);
  return fromRow(found.rows[0]);
}

/** Of an event before its change: the statement of both draws it. */
const DRAWN_LATER = 0n;

const LOCKED_NAME = lockedScope(['containers', '$3::text']);

/** Whoever removes a node's records waits for the lock of the scope, so behind it is not too early to look at the node. */
const CREATE = `
  WITH ${LOCKED_NAME}, known_node AS MATERIALIZED (
    SELECT node_now($2) AS node FROM locked_scope
  ), created AS (
    INSERT INTO containers (namespace, node, id, revision, labels, image, runtime_name, runtime_options,
      spec_type_url, spec, snapshotter, snapshot_key, extensions, sandbox)
    SELECT $1, $2, $3, nextval('revision'), $4::jsonb, $5, $6, $7::jsonb, $8, $9::bytea, $10, $11, $12::jsonb, $13
    FROM known_node WHERE (node).id IS NULL OR (node).state <> 'gone' AND NOT (node).cordoned
    RETURNING uid, revision, created_at, updated_at
  ), ${eventPart('created', 14)}
  SELECT (node).state, (node).cordoned, created.* FROM known_node LEFT JOIN created ON true`;

const DELETE = deletion(BY_NAME);
const DELETE_MARKED = deletion(`${BY_NAME} AND deleting_at IS NOT NULL`);

function deletion(condition: string): string {
  return `
  WITH ${LOCKED_NAME}, gone AS (
    DELETE FROM containers USING locked_scope WHERE ${condition}
    RETURNING snapshotter, snapshot_key, ${DELETION_REVISION} AS revision
  ), kept AS (
    INSERT INTO live_tasks AS t (namespace, node, id, snapshotter, snapshot_key)
    SELECT $1, $2, $3, snapshotter, snapshot_key FROM gone WHERE $4::boolean AND snapshot_key <> ''
    ON CONFLICT (node, namespace, id) DO UPDATE SET snapshotter = excluded.snapshotter,
      snapshot_key = excluded.snapshot_key, changed = excluded.changed
  ), ${eventPart('gone', 5)}
  SELECT revision FROM gone`;
}

function subject(scope: Scope, id: string): string {
  return `container ${JSON.stringify(id)} in namespace ${JSON.stringify(scope.namespace)}`;
}

function missing(scope: Scope, id: string): Error {
  return notFound(subject(scope, id));
}

function columnValues(spec: ContainerSpec): unknown[] {
  return [
    spec.labels,
    spec.image,
    spec.runtime.name,
    spec.runtime.options ? toStoredAny(spec.runtime.options) : null,
    spec.spec.typeUrl,
    spec.spec.value,
    spec.snapshotter,
    spec.snapshotKey,
    mapValues(spec.extensions, toStoredAny),
    spec.sandbox,
  ];
}

function createdFrom(scope: Scope, spec: ContainerSpec, row: CreationRow): Container {
  const { uid, revision, created_at, updated_at } = row;
  const times = { createdAt: created_at, updatedAt: updated_at, deletingAt: undefined };
  return { ...spec, uid, scope, revision: revision!, ...times };
}

function fromRow(row: Row): Container {
  return {
    uid: row.uid,
    scope: { namespace: row.namespace, node: row.node },
    id: row.id,
    revision: row.revision,
    labels: row.labels,
    image: row.image,
    runtime: {
      name: row.runtime_name,
      options: row.runtime_options ? fromStoredAny(row.runtime_options) : undefined,
    },
    spec: { typeUrl: row.spec_type_url, value: row.spec },
    snapshotter: row.snapshotter,
    snapshotKey: row.snapshot_key,
    extensions: mapValues(row.extensions, fromStoredAny),
    sandbox: row.sandbox,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    deletingAt: row.deleting_at ?? undefined,
  };
}
