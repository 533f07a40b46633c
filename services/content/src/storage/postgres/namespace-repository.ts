import { alreadyExists, failedPrecondition, notFound } from '@longshore/errors';
import type { Scope } from '@longshore/kit';
import type { Labels } from '@longshore/oci';
import {
  appendEvent,
  DELETION_REVISION,
  isUniqueViolation,
  lockScope,
  lockScopeAlone,
  type OutboxEvent,
  type Pool,
  type Queryable,
  query,
  type RecordTable,
  transaction,
} from '@longshore/postgres';
import { describeRemains, type Namespace } from '../../domain/namespace.ts';
import { deleteRecords } from './collection-delete.ts';
import type { CollectionViews } from './collection-views.ts';

type EventOf = (change: { scope: Scope; revision: bigint }) => OutboxEvent;

interface Row {
  namespace: string;
  node: string;
  revision: bigint;
  labels: Labels;
}

/** For the watch. */
export const namespaceTable: RecordTable<Row, Namespace> = {
  columns: 'namespace, node, revision, labels',
  from: 'namespaces',
  alias: 'namespaces',
  itemOf: ({ namespace, node, ...rest }) => ({ scope: { namespace, node }, ...rest }),
};

/**
 * Namespaces, in the table `namespaces`. One that only other services wrote to has no row; it is seen by their
 * views of the collection contract.
 */
export class NamespaceRepository {
  readonly #pool: Pool;
  readonly #views: CollectionViews;

  constructor(pool: Pool, views: CollectionViews) {
    this.#pool = pool;
    this.#views = views;
  }

  /** No labels for a namespace that does not exist. */
  labels(scope: Scope): Promise<Labels> {
    return this.#labels(this.#pool, scope);
  }

  async #labels(db: Queryable, scope: Scope): Promise<Labels> {
    const rows = await query<{ labels: Labels }>(
      db,
      'SELECT labels FROM namespaces WHERE namespace = $1 AND node = $2',
      [scope.namespace, scope.node],
    );
    return rows[0]?.labels ?? {};
  }

  /** In byte order of the names. */
  async list(node: string): Promise<Namespace[]> {
    const rows = await query<{ namespace: string; revision: bigint; labels: Labels }>(
      this.#pool,
      'SELECT namespace, revision, labels FROM namespaces WHERE node = $1',
      [node],
    );
    const known = new Map(
      rows.map(({ namespace, ...rest }): [string, Namespace] => [
        namespace,
        { scope: { namespace, node }, ...rest },
      ]),
    );
    for (const namespace of await this.#views.namespaces(this.#pool, node)) {
      if (!known.has(namespace))
        known.set(namespace, { scope: { namespace, node }, revision: 0n, labels: {} });
    }
    return [...known.values()].sort((a, b) => (a.scope.namespace < b.scope.namespace ? -1 : 1));
  }

  /** Throws AlreadyExists, also for a namespace that something was written to. */
  create(scope: Scope, labels: Labels, eventOf: EventOf): Promise<OutboxEvent> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['namespaces']);
      if ((await this.#views.remains(tx, scope)).length > 0) throw alreadyExists(subject(scope));
      try {
        const { rows } = await tx.query<{ revision: bigint }>(
          `INSERT INTO namespaces (namespace, node, revision, labels) VALUES ($1, $2, nextval('revision'), $3)
           RETURNING revision`,
          [scope.namespace, scope.node, labels],
        );
        const event = eventOf({ scope, revision: rows[0]!.revision });
        await appendEvent(tx, event);
        return event;
      } catch (error) {
        if (isUniqueViolation(error, 'namespaces_name'))
          throw alreadyExists(subject(scope), { cause: error });
        throw error;
      }
    });
  }

  /** Makes the namespace when it does not exist. */
  update(scope: Scope, change: (stored: Labels) => Labels, eventOf: EventOf): Promise<OutboxEvent> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['namespaces']);
      const { rows } = await tx.query<{ labels: Labels }>(
        'SELECT labels FROM namespaces WHERE namespace = $1 AND node = $2 FOR UPDATE',
        [scope.namespace, scope.node],
      );
      const labels = change(rows[0]?.labels ?? {});
      const written = await tx.query<{ revision: bigint }>(
        `INSERT INTO namespaces (namespace, node, revision, labels) VALUES ($1, $2, nextval('revision'), $3)
         ON CONFLICT ON CONSTRAINT namespaces_name DO UPDATE
           SET labels = excluded.labels, revision = excluded.revision, updated_at = clock_timestamp()
         RETURNING revision`,
        [scope.namespace, scope.node, labels],
      );
      const event = eventOf({ scope, revision: written.rows[0]!.revision });
      await appendEvent(tx, event);
      return event;
    });
  }

  /**
   * Deletes the namespace with its leases, ingests and sandboxes. Throws NotFound, FailedPrecondition while it holds images,
   * blobs, containers or snapshots, Unavailable while a service does not say what it holds, and what `check` throws.
   */
  delete(scope: Scope, check: (stored: Labels) => void, eventOf: EventOf): Promise<OutboxEvent> {
    return transaction(this.#pool, async (tx) => {
      await lockScopeAlone(tx, scope);
      check(await this.#labels(tx, scope));
      await this.#views.requireAll(tx);
      const remains = describeRemains(await this.#views.remains(tx, scope));
      if (remains.length > 0) {
        throw failedPrecondition(`${subject(scope)} must be empty, but it still has ${remains.join(', ')}`);
      }
      const removed = await deleteRecords(tx, scope, await this.#views.records(tx, scope));
      const { rows } = await tx.query<{ revision: bigint }>(
        `DELETE FROM namespaces WHERE namespace = $1 AND node = $2 RETURNING ${DELETION_REVISION} AS revision`,
        [scope.namespace, scope.node],
      );
      if (!rows[0] && removed.length === 0) throw notFound(subject(scope));
      const event = eventOf({ scope, revision: rows[0]?.revision ?? (await nextRevision(tx)) });
      await appendEvent(tx, event);
      return event;
    });
  }
}

/** For one that only other services wrote to. */
async function nextRevision(tx: Queryable): Promise<bigint> {
  const { rows } = await tx.query<{ revision: bigint }>(`SELECT nextval('revision') AS revision`);
  return rows[0]!.revision;
}

function subject({ namespace }: Scope): string {
  return `namespace ${JSON.stringify(namespace)}`;
}
