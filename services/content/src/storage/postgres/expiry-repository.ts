import type { Scope } from '@longshore/kit';
import { type Pool, query } from '@longshore/postgres';
import type { CollectionViews } from './collection-views.ts';

/** Which scopes have something to collect. */
export class ExpiryRepository {
  readonly #pool: Pool;
  readonly #views: CollectionViews;

  constructor(pool: Pool, views: CollectionViews) {
    this.#pool = pool;
    this.#views = views;
  }

  /** Scopes with an expired lease, or an expired ingest that no lease keeps. */
  expired(): Promise<Scope[]> {
    return query<Scope>(
      this.#pool,
      `SELECT namespace, node FROM leases WHERE expires_at <= now()
       UNION
       SELECT namespace, node FROM ingests AS i WHERE expires_at <= now() AND NOT EXISTS (
         SELECT FROM leases AS l JOIN lease_resources AS r ON r.lease = l.uid
         WHERE l.namespace = i.namespace AND l.node = i.node AND r.kind = 'ingest' AND r.key = i.ref)`,
    );
  }

  /** Scopes with any record at all, of any service. */
  all(): Promise<Scope[]> {
    return this.#views.scopes(this.#pool);
  }
}
