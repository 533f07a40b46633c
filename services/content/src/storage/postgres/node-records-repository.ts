import type { Scope } from '@longshore/kit';
import { lockScopeAlone, type Pool, query, transaction } from '@longshore/postgres';
import type { Candidate, CandidateReference, Removed } from '../../domain/collection.ts';
import type { NodeRecords } from '../../domain/node-removal.ts';
import { deleteRecords } from './collection-delete.ts';
import type { CollectionRepository } from './collection-repository.ts';
import type { CollectionViews } from './collection-views.ts';

/** Everything that a node has, in the schemas of all services, through the collection contract. */
export class NodeRecordsRepository implements NodeRecords {
  readonly #pool: Pool;
  readonly #views: CollectionViews;
  readonly #collection: CollectionRepository;

  constructor(pool: Pool, views: CollectionViews, collection: CollectionRepository) {
    this.#pool = pool;
    this.#views = views;
    this.#collection = collection;
  }

  async scopes(node: string): Promise<Scope[]> {
    const schemas = await this.#views.requireAll(this.#pool);
    const parts = schemas.map(
      (schema) => `SELECT namespace, node FROM ${schema}.gc_objects WHERE node = $1 AND collectable`,
    );
    return query<Scope>(this.#pool, parts.join(' UNION '), [node]);
  }

  async records({ namespace, node }: Scope): Promise<Candidate[]> {
    const schemas = await this.#views.requireAll(this.#pool);
    const parts = schemas.map(
      (schema) => `SELECT '${schema}' AS schema, kind, key, uid FROM ${schema}.gc_objects
        WHERE namespace = $1 AND node = $2 AND collectable`,
    );
    return query<Candidate>(this.#pool, parts.join(' UNION ALL '), [namespace, node]);
  }

  references(scope: Scope, records: readonly Candidate[]): Promise<CandidateReference[]> {
    return this.#collection.references(scope, records);
  }

  remove(scope: Scope, batch: readonly Candidate[]): Promise<Removed[]> {
    return transaction(this.#pool, async (tx) => {
      await lockScopeAlone(tx, scope);
      return deleteRecords(tx, scope, batch);
    });
  }

  async removeNamespaces(node: string): Promise<void> {
    const remembered = ['collection_censuses', 'unreached', 'lease_deletions'];
    for (const table of ['namespaces', ...remembered]) {
      await query(this.#pool, `DELETE FROM ${table} WHERE node = $1`, [node]);
    }
  }
}
