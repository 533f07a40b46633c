import { alreadyExists, notFound } from '@longshore/errors';
import type { Scope } from '@longshore/kit';
import type { Labels } from '@longshore/oci';
import {
  appendEvent,
  isUniqueViolation,
  lockScope,
  nextRevision,
  type OutboxEvent,
  type Pool,
  query,
  transaction,
} from '@longshore/postgres';
import type { Container, ContainerSpec } from '../../domain/container.ts';
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
}

/** The event of a change, made from the container after it. */
type EventOf = (container: Container) => OutboxEvent;

const COLUMNS = `uid, namespace, node, id, revision, labels, image, runtime_name, runtime_options, spec_type_url,
  spec, snapshotter, snapshot_key, extensions, sandbox, created_at, updated_at`;

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

  /** In byte order of the ids. */
  async list(scope: Scope): Promise<Container[]> {
    const rows = await query<Row>(
      this.#pool,
      `SELECT ${COLUMNS} FROM containers WHERE namespace = $1 AND node = $2 ORDER BY id COLLATE "C"`,
      [scope.namespace, scope.node],
    );
    return rows.map(fromRow);
  }

  /** Throws AlreadyExists. */
  create(scope: Scope, spec: ContainerSpec, eventOf: EventOf): Promise<Container> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['containers', spec.id]);
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

  /** Throws NotFound. The container returned carries the revision of its deletion. */
  delete(scope: Scope, id: string, eventOf: EventOf): Promise<Container> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['containers', id]);
      const { rows } = await tx.query<Row>(`DELETE FROM containers WHERE ${BY_NAME} RETURNING ${COLUMNS}`, [
        scope.namespace,
        scope.node,
        id,
      ]);
      if (!rows[0]) throw missing(scope, id);
      const deleted = { ...fromRow(rows[0]), revision: await nextRevision(tx) };
      await appendEvent(tx, eventOf(deleted));
      return deleted;
    });
  }
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
  };
}
