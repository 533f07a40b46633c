import { alreadyExists, notFound } from '@longshore/errors';
import { compileToSql, type Filter, type SqlColumns } from '@longshore/filters';
import type { Scope } from '@longshore/kit';
import type { Labels } from '@longshore/oci';
import {
  appendEvent,
  DELETION_REVISION,
  isUniqueViolation,
  lockScope,
  type OutboxEvent,
  orderedPages,
  type Pool,
  type Queryable,
  query,
  type RecordTable,
  transaction,
} from '@longshore/postgres';
import { FLEET, ReservedLabel } from '@longshore/proto/headers';
import type { Container, ContainerSpec } from '../../domain/container.ts';
import { type Node, requireOpen } from '../../domain/node.ts';
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

const COLUMNS = `uid, namespace, node, id, revision, labels, image, runtime_name, runtime_options, spec_type_url,
  spec, snapshotter, snapshot_key, extensions, sandbox, created_at, updated_at, deleting_at`;

/** A spec may be as large as a message. */
const CONTAINER_PAGE_ROWS = 100;

/** What filters can ask for. The index of images has their beginnings: they may be longer than an entry can be. */
const FILTERED: SqlColumns = {
  texts: {
    id: { column: 'id' },
    image: {
      column: 'image',
      equals: (value) => `left(image, 256) = left(${value}, 256) AND image = ${value}`,
    },
    'runtime.name': { column: 'runtime_name' },
  },
  labels: { column: 'labels', notStored: new Set(Object.values(ReservedLabel)) },
};

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
    const matching = compileToSql(filter, FILTERED, parameters) ?? 'true';
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
  create(scope: Scope, spec: ContainerSpec, eventOf: EventOf): Promise<Container> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['containers', spec.id]);
      await requireOpenNode(tx, scope.node);
      try {
        const { rows } = await tx.query<Row>(
          `INSERT INTO containers (namespace, node, id, revision, labels, image, runtime_name, runtime_options,
             spec_type_url, spec, snapshotter, snapshot_key, extensions, sandbox)
           VALUES ($1, $2, $3, nextval('revision'), $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
           RETURNING ${COLUMNS}`,
          [scope.namespace, scope.node, spec.id, ...columnValues(spec)],
        );
        const created = fromRow(rows[0]!);
        await appendEvent(tx, eventOf(created));
        return created;
      } catch (error) {
        if (isUniqueViolation(error, 'containers_name'))
          throw alreadyExists(subject(scope, spec.id), { cause: error });
        throw error;
      }
    });
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
      const found = await tx.query<Row>(`SELECT ${COLUMNS} FROM containers WHERE ${BY_NAME} FOR UPDATE`, [
        scope.namespace,
        scope.node,
        id,
      ]);
      if (!found.rows[0]) throw missing(scope, id);
      const changed = change(fromRow(found.rows[0]));
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
    const condition = compileToSql(filter, FILTERED, parameters);
    if (condition === undefined) return undefined;
    const rows = await query<{ node: string }>(
      this.#pool,
      `SELECT node FROM containers WHERE namespace = $1 AND ${condition} GROUP BY node ORDER BY node COLLATE "C"`,
      parameters,
    );
    return rows.map(({ node }) => node);
  }

  /** The container stays, as it is, until its node agrees that it goes. Asking again changes nothing. Throws NotFound. */
  markDeleting(scope: Scope, id: string): Promise<Container> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['containers', id]);
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
   * Throws NotFound. The container returned carries the revision of its deletion. While a task of it runs, what that has mounted
   * is kept until {@link releaseTask}.
   */
  delete(
    scope: Scope,
    id: string,
    eventOf: EventOf,
    { hasTask = false }: { hasTask?: boolean } = {},
  ): Promise<Container> {
    return this.#delete(scope, id, BY_NAME, eventOf, hasTask);
  }

  /** The task of a deleted container does not run any more. */
  async releaseTask(scope: Scope, id: string): Promise<void> {
    await transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope);
      await tx.query(`DELETE FROM live_tasks WHERE ${BY_NAME}`, [scope.namespace, scope.node, id]);
    });
  }

  /** As {@link delete}, for a container that is marked: any other is NotFound. */
  deleteMarked(scope: Scope, id: string, eventOf: EventOf): Promise<Container> {
    return this.#delete(scope, id, `${BY_NAME} AND deleting_at IS NOT NULL`, eventOf);
  }

  #delete(
    scope: Scope,
    id: string,
    condition: string,
    eventOf: EventOf,
    hasTask = false,
  ): Promise<Container> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['containers', id]);
      const { rows } = await tx.query<Row & { deletion: bigint }>(
        `DELETE FROM containers WHERE ${condition} RETURNING ${COLUMNS}, ${DELETION_REVISION} AS deletion`,
        [scope.namespace, scope.node, id],
      );
      if (!rows[0]) throw missing(scope, id);
      const deleted = { ...fromRow(rows[0]), revision: rows[0].deletion };
      if (hasTask && deleted.snapshotKey !== '') await keepTask(tx, deleted);
      await appendEvent(tx, eventOf(deleted));
      return deleted;
    });
  }
}

/** Whoever removes a node's records waits for the lock of the scope, so this is not too early. */
async function requireOpenNode(tx: Queryable, id: string): Promise<void> {
  if (id === FLEET) return;
  const { rows } = await tx.query<Pick<Node, 'state' | 'cordoned'>>(
    'SELECT state, cordoned FROM nodes WHERE id = $1',
    [id],
  );
  if (rows[0]) requireOpen({ id, ...rows[0] });
}

async function keepTask(tx: Queryable, { scope, id, snapshotter, snapshotKey }: Container): Promise<void> {
  await tx.query(
    `INSERT INTO live_tasks AS t (namespace, node, id, snapshotter, snapshot_key) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (node, namespace, id) DO UPDATE SET snapshotter = excluded.snapshotter,
       snapshot_key = excluded.snapshot_key, changed = excluded.changed`,
    [scope.namespace, scope.node, id, snapshotter, snapshotKey],
  );
}

const BY_NAME = 'namespace = $1 AND node = $2 AND id = $3';

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
