import { notFound, unavailable } from '@longshore/errors';
import { compileToSql, type Filter, type SqlColumns } from '@longshore/filters';
import type { Scope } from '@longshore/kit';
import { isDigest, type Labels } from '@longshore/oci';
import {
  isForeignKeyViolation,
  lockScope,
  type OutboxEvent,
  orderedPages,
  type Pool,
  query,
  transaction,
} from '@longshore/postgres';
import type { Content, ContentIdentity } from '../../domain/content.ts';
import { INGEST_LIFETIME_MS, type Ingest, type OpenRequest, type Received } from '../../domain/ingest.ts';
import { lost, type Progress } from '../../domain/ingest-writer.ts';
import { withinQuota } from './quota-error.ts';

interface Row {
  uid: string;
  total: bigint;
  durable_bytes: bigint;
  linked_digest: string | null;
  linked_generation: string | null;
  epoch: bigint;
  started_at: Date;
  updated_at: Date;
}

/** What the functions of migrations/0003_ingest_functions.sql answer; the rest is null but for one outcome. */
type OpenRow = { outcome: 'opened' | 'held' | 'locked' | 'unleased' } & Row;
interface CommitRow {
  outcome: 'created' | 'held' | 'lost' | 'unleased';
  uid: string;
  revision: bigint;
  created_at: Date;
  generation: string;
}

export interface IngestRepositoryOptions {
  /** Who writes: a name that no other process has, now or later. */
  instance: string;
  /** How long a writer keeps its lock without a checkpoint. */
  writerTimeoutMs: number;
  /** Whether a node's namespaces share what the node holds. */
  sharesNamespaces: boolean;
}

const COLUMNS =
  'uid, ref, total, durable_bytes, linked_digest, linked_generation, epoch, started_at, updated_at';
/** What filters can ask for: ingests have no labels. */
const FILTERED: SqlColumns = { texts: { ref: { column: 'i.ref', isAlwaysPresent: true } } };
const BY_NAME = 'namespace = $1 AND node = $2 AND ref = $3';

/** Blobs on their way in, in the table `ingests`. */
export class IngestRepository {
  readonly #pool: Pool;
  readonly #options: IngestRepositoryOptions;

  constructor(pool: Pool, options: IngestRepositoryOptions) {
    this.#pool = pool;
    this.#options = options;
  }

  /**
   * Takes the ref's lock for a new writer. `undefined` when the scope holds the expected blob already, which is
   * then on the caller's lease. Throws Unavailable while another writer has it, NotFound for an unknown lease,
   * ResourceExhausted above a quota.
   */
  async open(scope: Scope, request: OpenRequest): Promise<Ingest | undefined> {
    const { ref, totalBytes, expected, lease, isIsolated = false } = request;
    const { sharesNamespaces, instance, writerTimeoutMs } = this.#options;
    const row = await this.#callOpen([
      scope.namespace,
      scope.node,
      ref,
      totalBytes,
      expected,
      lease,
      sharesNamespaces && !isIsolated,
      instance,
      INGEST_LIFETIME_MS,
      writerTimeoutMs,
    ]);
    switch (row.outcome) {
      case 'held':
        return undefined;
      case 'locked':
        throw unavailable(`ref ${ref} locked by another writer`);
      case 'unleased':
        throw notFound('lease does not exist');
      case 'opened':
        return fromRow(scope, ref, row);
    }
  }

  async #callOpen(values: unknown[]): Promise<OpenRow> {
    try {
      const rows = await withinQuota(
        query<OpenRow>(
          this.#pool,
          'SELECT * FROM open_ingest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)',
          values,
        ),
      );
      return rows[0]!;
    } catch (error) {
      if (!isForeignKeyViolation(error, 'ingests_blob')) throw error;
      throw unavailable(`content ${values[4]} is being removed`, { cause: error });
    }
  }

  /** Keeps the writers' locks and records their progress; answers the uids of those that are still the last. */
  async checkpoint(progress: readonly Progress[]): Promise<Set<string>> {
    const rows = await query<{ uid: string }>(
      this.#pool,
      `UPDATE ingests AS i SET durable_bytes = p.durable_bytes,
         updated_at = CASE WHEN i.durable_bytes = p.durable_bytes THEN i.updated_at ELSE clock_timestamp() END,
         writer_until = clock_timestamp() + $4 * interval '1 ms'
       FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS p (uid, epoch, durable_bytes)
       WHERE i.uid = p.uid AND i.epoch = p.epoch AND i.writer IS NOT NULL RETURNING i.uid`,
      [
        progress.map(({ uid }) => uid),
        progress.map(({ epoch }) => epoch),
        progress.map(({ durableBytes }) => durableBytes),
        this.#options.writerTimeoutMs,
      ],
    );
    return new Set(rows.map(({ uid }) => uid));
  }

  /** Drops what was received or linked. Throws Unavailable for a writer that is no longer the last. */
  async reset({ uid, epoch, ref }: Ingest): Promise<void> {
    const rows = await query(
      this.#pool,
      `UPDATE ingests SET durable_bytes = 0, linked_digest = NULL, linked_generation = NULL
       WHERE uid = $1 AND epoch = $2 RETURNING uid`,
      [uid, epoch],
    );
    if (rows.length === 0) throw lost({ ref });
  }

  /**
   * Gives the lock back and keeps what is durable. Of an ingest that is gone it buries what its writer may have stored after its
   * removal: call it once nothing more is stored.
   */
  async release({ uid, epoch }: Ingest, durableBytes: number): Promise<void> {
    await query(
      this.#pool,
      `WITH released AS (
         UPDATE ingests
         SET durable_bytes = $3, updated_at = clock_timestamp(), writer = NULL, writer_until = NULL
         WHERE uid = $1::uuid AND epoch = $2
       )
       INSERT INTO tombstones (generation)
       SELECT $1::uuid WHERE NOT EXISTS (SELECT FROM ingests WHERE uid = $1::uuid)`,
      [uid, epoch, durableBytes],
    );
  }

  /** Gives back the locks of processes that have ended, told by how the names of their instances begin. */
  async releaseOf(prefix: string): Promise<void> {
    await query(
      this.#pool,
      'UPDATE ingests SET writer = NULL, writer_until = NULL WHERE starts_with(writer, $1) AND writer <> $2',
      [prefix, this.#options.instance],
    );
  }

  /**
   * Makes content of an ingest, in one transaction, with its event. When the scope holds the blob already, the
   * ingest goes all the same and `created` is undefined; the blob is on the lease in both cases. `generation` is
   * the one that the blob has now: another than received when the digest was stored already.
   * Throws Unavailable for a writer that is no longer the last, NotFound for an unknown lease, ResourceExhausted above a quota.
   */
  async commit(
    ingest: Ingest,
    received: Received,
    labels: Labels,
    lease: string | undefined,
    eventOf: (content: ContentIdentity) => OutboxEvent,
  ): Promise<{ created: Content | undefined; generation: string }> {
    const { scope, ref } = ingest;
    const { digest, generation, sizeBytes } = received;
    // The row's revision is drawn by the function, which puts it into the event's row.
    const { topic, typeUrl, payload } = eventOf({ scope, digest, sizeBytes, revision: 0n });
    const rows = await withinQuota(
      query<CommitRow>(
        this.#pool,
        'SELECT * FROM commit_ingest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)',
        [
          ingest.uid,
          ingest.epoch,
          scope.namespace,
          scope.node,
          ref,
          digest,
          generation,
          sizeBytes,
          labels,
          lease,
          topic,
          typeUrl,
          payload,
        ],
      ),
    );
    const row = rows[0]!;
    if (row.outcome === 'lost') {
      await this.#buryLost(ingest.uid, received);
      throw lost({ ref });
    }
    if (row.outcome === 'unleased') {
      if (await this.#dropUnleased(ingest, received)) throw notFound('lease does not exist');
      throw lost({ ref });
    }
    if (row.outcome === 'held') return { created: undefined, generation: row.generation };
    const { uid, revision, created_at: createdAt } = row;
    const stored = { uid, scope, digest, generation: row.generation, revision, sizeBytes, labels };
    return { created: { ...stored, createdAt, updatedAt: createdAt }, generation: row.generation };
  }

  /** Bytes that were published in vain; not while another writer may commit them, or when it has. */
  async #buryLost(uid: string, { digest, generation }: Received): Promise<void> {
    if (generation !== uid) return;
    await query(
      this.#pool,
      `INSERT INTO tombstones (digest, generation) SELECT $1::text, $2::uuid
       WHERE NOT EXISTS (SELECT FROM ingests WHERE uid = $2::uuid)
         AND NOT EXISTS (SELECT FROM blobs WHERE digest = $1::text AND generation = $2::uuid)`,
      [digest, uid],
    );
  }

  /**
   * Nothing keeps the ingest any more; were it to stay, its next writer could publish again what is buried here. False when there
   * is a later writer, or was.
   */
  #dropUnleased({ uid, epoch, scope, ref }: Ingest, { digest, generation }: Received): Promise<boolean> {
    if (generation !== uid) return Promise.resolve(true);
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['ingests', ref]);
      const { rows } = await tx.query(
        `WITH gone AS (DELETE FROM ingests WHERE uid = $1::uuid AND epoch = $2)
         INSERT INTO tombstones (digest, generation) SELECT digest, $1::uuid FROM unnest(ARRAY[NULL, $3::text]) AS digest
         WHERE NOT EXISTS (SELECT FROM ingests WHERE uid = $1::uuid AND epoch <> $2)
           AND NOT EXISTS (SELECT FROM blobs WHERE digest = $3::text AND generation = $1::uuid)
         RETURNING id`,
        [uid, epoch, digest],
      );
      return rows.length > 0;
    });
  }

  /** Throws NotFound. */
  async abort(scope: Scope, ref: string, lease: string | undefined): Promise<void> {
    await transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['ingests', ref]);
      const { rows } = await tx.query(
        `WITH gone AS (DELETE FROM ingests WHERE ${BY_NAME} RETURNING uid),
         unleased AS (
           DELETE FROM lease_resources AS r USING leases AS l
           WHERE r.lease = l.uid AND l.namespace = $1 AND l.node = $2 AND l.id = $4 AND r.kind = 'ingest' AND r.key = $3
         )
         INSERT INTO tombstones (generation) SELECT uid FROM gone RETURNING generation`,
        [scope.namespace, scope.node, ref, lease ?? null],
      );
      if (rows.length === 0) throw missing(ref);
    });
  }

  /** Throws NotFound. */
  async get(scope: Scope, ref: string): Promise<Ingest> {
    const rows = await query<Row>(this.#pool, `SELECT ${COLUMNS} FROM ingests WHERE ${BY_NAME}`, [
      scope.namespace,
      scope.node,
      ref,
    ]);
    if (!rows[0]) throw missing(ref);
    return fromRow(scope, ref, rows[0]);
  }

  /** At least the ingests that the filter matches, in byte order of the refs. */
  async *pages(scope: Scope, filter: Filter): AsyncGenerator<Ingest[]> {
    const parameters: unknown[] = [scope.namespace, scope.node];
    const matching = compileToSql(filter, FILTERED, parameters) ?? 'true';
    const pages = orderedPages<Row & { ref: string }>(this.#pool, {
      columns: COLUMNS,
      from: 'ingests AS i',
      where: `i.namespace = $1 AND i.node = $2 AND ${matching}`,
      parameters,
      order: ['i.ref'],
    });
    for await (const rows of pages) yield rows.map((row) => fromRow(scope, row.ref, row));
  }
}

function fromRow(scope: Scope, ref: string, row: Row): Ingest {
  const { linked_digest: digest, linked_generation: generation } = row;
  return {
    uid: row.uid,
    scope,
    ref,
    totalBytes: Number(row.total),
    durableBytes: Number(row.durable_bytes),
    linked: digest !== null && generation !== null && isDigest(digest) ? { digest, generation } : undefined,
    epoch: row.epoch,
    startedAt: row.started_at,
    updatedAt: row.updated_at,
  };
}

function missing(ref: string): Error {
  return notFound(`reference ${ref}`);
}
