import type { Scope } from '@longshore/kit';
import { type Pool, query } from '@longshore/postgres';
import type { Candidate } from '../../domain/collection.ts';
import type { BlobWhereabouts, BuriedBlob, Chain, UnreachedRecord } from '../../domain/collection-report.ts';
import { chainSql } from './collection-sql.ts';
import type { CollectionViews } from './collection-views.ts';

interface ChainRow {
  role: 'root' | 'step';
  schema: string | null;
  kind: string;
  key: string;
  label: string | null;
}

/** What keeps records, and since when nothing does. */
export class CollectionReportRepository {
  readonly #pool: Pool;
  readonly #views: CollectionViews;

  constructor(pool: Pool, views: CollectionViews) {
    this.#pool = pool;
    this.#views = views;
  }

  /** Sizes, and since when they are known to be unreached, of some candidates, in the order given. */
  async unreached(scope: Scope, candidates: readonly Candidate[]): Promise<UnreachedRecord[]> {
    const sizes = await this.#views.sizes(this.#pool);
    const rows = await query<{ size_bytes: bigint | null; since: Date | null }>(
      this.#pool,
      `SELECT s.size_bytes, u.since
       FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS g (kind, key, place)
       LEFT JOIN unreached AS u ON u.namespace = $1 AND u.node = $2 AND u.kind = g.kind AND u.key = g.key
       LEFT JOIN LATERAL (${sizes}) AS s ON true
       ORDER BY g.place`,
      [scope.namespace, scope.node, candidates.map(({ kind }) => kind), candidates.map(({ key }) => key)],
    );
    return rows.map(({ size_bytes, since }, index) => {
      const { kind, key } = candidates[index]!;
      return { kind, key, sizeBytes: size_bytes ?? undefined, since: since ?? undefined };
    });
  }

  /** Undefined when no root leads to the record. */
  async chain(scope: Scope, kind: string, key: string): Promise<Chain | undefined> {
    const { namespace, node } = scope;
    const [root, ...steps] = await this.#views.withAll(this.#pool, (schemas) =>
      query<ChainRow>(this.#pool, chainSql(schemas), [namespace, node, kind, key]),
    );
    if (!root) return undefined;
    const links = [root, ...steps].map((row, index) => ({
      kind: row.kind,
      key: row.key,
      label: index > 0 && row.label !== null ? row.label : undefined,
    }));
    return { links, rootReason: root.label ?? (await this.#leaseOf(scope, root)) ?? root.kind };
  }

  exists(scope: Scope, kind: string, key: string): Promise<boolean> {
    return this.#views.withAll(this.#pool, async (schemas) => {
      const parts = schemas.map(
        (schema) => `SELECT FROM ${schema}.gc_objects
          WHERE namespace = $1 AND node = $2 AND kind = $3 AND key = $4`,
      );
      const values = [scope.namespace, scope.node, kind, key];
      return (await query(this.#pool, parts.join(' UNION ALL '), values)).length > 0;
    });
  }

  /** In all scopes. */
  async whereabouts(digest: string): Promise<BlobWhereabouts> {
    const [holders, buried] = await Promise.all([
      query<{ namespace: string; node: string }>(
        this.#pool,
        'SELECT namespace, node FROM contents WHERE digest = $1 ORDER BY namespace COLLATE "C", node COLLATE "C"',
        [digest],
      ),
      query<BuriedBlob>(
        this.#pool,
        'SELECT generation, created_at AS "buriedAt" FROM tombstones WHERE digest = $1 ORDER BY id',
        [digest],
      ),
    ]);
    return { holders, buried };
  }

  /** When it is a lease that makes it a root: which. */
  async #leaseOf({ namespace, node }: Scope, { schema, kind, key }: ChainRow): Promise<string | undefined> {
    if (schema !== 'content' || kind === 'lease') return undefined;
    const [lease] = await query<{ id: string }>(
      this.#pool,
      `SELECT l.id FROM leases AS l JOIN lease_resources AS r ON r.lease = l.uid
       WHERE l.namespace = $1 AND l.node = $2 AND r.kind = $3 AND r.key = $4
         AND (l.expires_at IS NULL OR l.expires_at > now())
       ORDER BY l.created_at, l.id LIMIT 1`,
      [namespace, node, kind, key],
    );
    return lease && `lease ${JSON.stringify(lease.id)}`;
  }
}
