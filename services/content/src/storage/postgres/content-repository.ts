import { notFound } from '@longshore/errors';
import { compileToSql, type Filter, type SqlColumns } from '@longshore/filters';
import { type ListPart, type Scope, WHOLE_LIST } from '@longshore/kit';
import type { Digest, Labels } from '@longshore/oci';
import {
  appendEvent,
  DELETION_REVISION,
  LOCKED_SCOPE,
  lockScope,
  type OutboxEvent,
  orderedPages,
  type Pool,
  query,
  type RecordTable,
  transaction,
} from '@longshore/postgres';
import { dataLoss } from '../../domain/blob-health.ts';
import type { Content } from '../../domain/content.ts';
import type { LabelChange } from '../../domain/content-labels.ts';
import { leaseUid } from './lease-uid.ts';

interface Row {
  uid: string;
  namespace: string;
  node: string;
  digest: Digest;
  generation: string;
  revision: bigint;
  size: bigint;
  labels: Labels;
  created_at: Date;
  updated_at: Date;
  corrupt_at: Date | null;
  corrupt_reason: string | null;
}

type EventOf = (content: Content) => OutboxEvent;

const COLUMNS = `c.uid, c.namespace, c.node, c.digest, c.generation, c.revision, b.size, c.labels, c.created_at,
  c.updated_at, b.corrupt_at, b.corrupt_reason`;
const BY_NAME = 'c.namespace = $1 AND c.node = $2 AND c.digest = $3';
const WITH_BLOB = 'b.digest = c.digest AND b.generation = c.generation';

/** What filters can ask for. */
const FILTERED: SqlColumns = {
  texts: { digest: { column: 'c.digest' } },
  labels: { column: 'c.labels', notStored: new Set() },
};

/** For the watch. */
export const contentTable: RecordTable<Row, Content> = {
  columns: COLUMNS,
  from: `contents AS c JOIN blobs AS b ON ${WITH_BLOB}`,
  alias: 'c',
  itemOf: contentFromRow,
};

/** Who holds which blob, in the tables `contents` and `blobs`. */
export class ContentRepository {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Throws NotFound, also when another scope holds the blob. */
  async get(scope: Scope, digest: Digest): Promise<Content> {
    const rows = await query<Row>(
      this.#pool,
      `SELECT ${COLUMNS} FROM contents AS c JOIN blobs AS b ON ${WITH_BLOB} WHERE ${BY_NAME}`,
      [scope.namespace, scope.node, digest],
    );
    if (!rows[0]) throw missing(digest);
    return contentFromRow(rows[0]);
  }

  /** For whoever reads its bytes. Throws NotFound, DataLoss for a blob in quarantine. */
  async readable(scope: Scope, digest: Digest): Promise<Content> {
    const content = await this.get(scope, digest);
    const { quarantine } = content;
    if (!quarantine) return content;
    throw dataLoss(digest, `${quarantine.reason} since ${quarantine.since.toISOString()}`);
  }

  /** False for a blob in quarantine, which is to be stored anew. */
  async holds(scope: Scope, digest: Digest): Promise<boolean> {
    const rows = await query<{ held: boolean }>(this.#pool, 'SELECT holds_content($1, $2, $3) AS held', [
      scope.namespace,
      scope.node,
      digest,
    ]);
    return rows[0]?.held ?? false;
  }

  /** At least the records that the filter matches, from the part's first name on and then at least as many as it wants, in byte order of the digests. */
  async *pages(scope: Scope, filter: Filter, part: ListPart = WHOLE_LIST): AsyncGenerator<Content[]> {
    const parameters: unknown[] = [scope.namespace, scope.node];
    const matching = compileToSql(filter, FILTERED, parameters) ?? 'true';
    const pages = orderedPages<Row>(this.#pool, {
      columns: COLUMNS,
      from: `contents AS c JOIN blobs AS b ON ${WITH_BLOB}`,
      where: `c.namespace = $1 AND c.node = $2 AND ${matching}`,
      parameters,
      order: ['c.digest'],
      part,
    });
    for await (const rows of pages) yield rows.map(contentFromRow);
  }

  /** Throws NotFound. */
  async updateLabels(scope: Scope, digest: Digest, { replaces, set, unset }: LabelChange): Promise<Content> {
    const rows = await query<Row>(
      this.#pool,
      `WITH ${LOCKED_SCOPE}
       UPDATE contents AS c SET labels = CASE WHEN $4 THEN $5::jsonb ELSE (c.labels || $5::jsonb) - $6::text[] END,
         revision = nextval('revision'), updated_at = clock_timestamp(), changed = pg_current_xact_id()
       FROM locked_scope, blobs AS b WHERE ${BY_NAME} AND ${WITH_BLOB} RETURNING ${COLUMNS}`,
      [scope.namespace, scope.node, digest, replaces, set, unset],
    );
    if (!rows[0]) throw missing(digest);
    return contentFromRow(rows[0]);
  }

  /** Removes the record, not the bytes, and takes it off the caller's lease. Throws NotFound. */
  delete(scope: Scope, digest: Digest, lease: string | undefined, eventOf: EventOf): Promise<Content> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['contents', digest]);
      const { rows } = await tx.query<Row & { deletion: bigint }>(
        `DELETE FROM contents AS c USING blobs AS b WHERE ${BY_NAME} AND ${WITH_BLOB}
         RETURNING ${COLUMNS}, ${DELETION_REVISION} AS deletion`,
        [scope.namespace, scope.node, digest],
      );
      if (!rows[0]) throw missing(digest);
      const deleted = { ...contentFromRow(rows[0]), revision: rows[0].deletion };
      if (lease !== undefined) {
        await tx.query(
          `DELETE FROM lease_resources AS r USING leases AS l
           WHERE r.lease = l.uid AND l.namespace = $1 AND l.node = $2 AND l.id = $3
             AND r.kind = 'content' AND r.key = $4`,
          [scope.namespace, scope.node, lease, digest],
        );
      }
      await appendEvent(tx, eventOf(deleted));
      return deleted;
    });
  }

  /** Puts a held blob on a lease; false when `holds` is. Throws NotFound for an unknown lease. */
  leaseHeld(scope: Scope, digest: Digest, lease: string): Promise<boolean> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope);
      const { rows } = await tx.query(
        `INSERT INTO lease_resources (lease, kind, key)
         SELECT $4, 'content', $3 WHERE holds_content($1, $2, $3)
         ON CONFLICT (lease, kind, key) DO UPDATE SET changed = pg_current_xact_id()
         RETURNING key`,
        [scope.namespace, scope.node, digest, await leaseUid(tx, scope, lease)],
      );
      return rows.length > 0;
    });
  }
}

function contentFromRow(row: Row): Content {
  return {
    uid: row.uid,
    scope: { namespace: row.namespace, node: row.node },
    digest: row.digest,
    generation: row.generation,
    revision: row.revision,
    sizeBytes: Number(row.size),
    labels: row.labels,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    quarantine: row.corrupt_at ? { since: row.corrupt_at, reason: row.corrupt_reason ?? '' } : undefined,
  };
}

function missing(digest: Digest): Error {
  return notFound(`content digest ${digest}`);
}
