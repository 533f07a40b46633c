import type { Scope } from '@longshore/kit';
import {
  appendEvent,
  DELETION_REVISION,
  lockScopeAlone,
  type OutboxEvent,
  type Pool,
  query,
  type Term,
  transaction,
} from '@longshore/postgres';
import type { Container } from '../../domain/container.ts';
import { containerTable } from './container-repository.ts';

/** Keeps each transaction well under a second. */
const BATCH = 200;

/** The records of nodes that are gone: their containers and sandboxes. */
export class NodeRecordsRepository {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Ids of nodes that are gone and have records left. */
  async forgetting(): Promise<string[]> {
    const rows = await query<{ id: string }>(this.#pool, 'SELECT id FROM nodes WHERE forgetting ORDER BY id');
    return rows.map(({ id }) => id);
  }

  /** Removes all records of a node, the containers with their events. */
  async remove(node: string, eventOf: (container: Container) => OutboxEvent, term: Term): Promise<void> {
    const scopes = await query<{ namespace: string }>(
      this.#pool,
      `SELECT namespace FROM containers WHERE node = $1 UNION SELECT namespace FROM sandboxes WHERE node = $1`,
      [node],
    );
    for (const { namespace } of scopes) {
      const scope = { namespace, node };
      while ((await this.#removeContainers(scope, eventOf, term)) === BATCH);
      await this.#removeSandboxes(scope, term);
    }
    await transaction(this.#pool, async (tx) => {
      await term.check(tx);
      await tx.query('DELETE FROM live_tasks WHERE node = $1', [node]);
    });
  }

  /** Alone in the scope: who creates a container there has seen that the node is gone, or is waited for. */
  #removeContainers(
    scope: Scope,
    eventOf: (container: Container) => OutboxEvent,
    term: Term,
  ): Promise<number> {
    return transaction(this.#pool, async (tx) => {
      await term.check(tx);
      await lockScopeAlone(tx, scope);
      const { rows } = await tx.query<Parameters<typeof containerTable.itemOf>[0] & { deletion: bigint }>(
        `DELETE FROM containers WHERE uid IN
           (SELECT uid FROM containers WHERE namespace = $1 AND node = $2 ORDER BY id LIMIT $3)
         RETURNING ${containerTable.columns}, ${DELETION_REVISION} AS deletion`,
        [scope.namespace, scope.node, BATCH],
      );
      for (const row of rows) {
        await appendEvent(tx, eventOf({ ...containerTable.itemOf(row), revision: row.deletion }));
      }
      return rows.length;
    });
  }

  #removeSandboxes(scope: Scope, term: Term): Promise<void> {
    return transaction(this.#pool, async (tx) => {
      await term.check(tx);
      await lockScopeAlone(tx, scope);
      await tx.query('DELETE FROM sandboxes WHERE namespace = $1 AND node = $2', [
        scope.namespace,
        scope.node,
      ]);
    });
  }
}
