import { notFound, unavailable } from '@longshore/errors';
import type { Scope } from '@longshore/kit';
import { type Digest, isDigest, type Labels } from '@longshore/oci';
import {
  appendEvent,
  isForeignKeyViolation,
  type OutboxEvent,
  type Pool,
  type Queryable,
  query,
  transaction,
} from '@longshore/postgres';
import type { Content } from '../../domain/content.ts';
import { INGEST_LIFETIME_MS, type Ingest, type OpenRequest, type Received } from '../../domain/ingest.ts';
import { lost, type Progress } from '../../domain/ingest-writer.ts';
import { BY_NAME, COLUMNS, COMMIT, FIND, OPEN } from './ingest-sql.ts';
import { leaseUid } from './lease-uid.ts';
import { lockScope } from './scope-lock.ts';

interface Row {
  uid: string;
  namespace: string;
  node: string;
  ref: string;
  total: bigint;
  durable_bytes: bigint;
  linked_digest: Digest | null;
  linked_generation: string | null;
  epoch: bigint;
  started_at: Date;
  updated_at: Date;
}

/** What an open finds before it decides. */
interface Found {
  held: boolean;
  locked: boolean;
  generation: string | null;
  size: bigint | null;
}

interface CommitRow {
  uid: string | null;
  revision: bigint | null;
  created_at: Date | null;
  generation: string;
}

export interface IngestRepositoryOptions {
  /** Who writes: a name that a restarted instance has again. */
  instance: string;
  /** How long a writer keeps its lock without a checkpoint. */
  writerTimeoutMs: number;
  /** Whether a node's namespaces share what the node holds. */
  sharesNamespaces: boolean;
}

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
   * then on the caller's lease. Throws Unavailable while another writer has it, NotFound for an unknown lease.
   */
  async open(scope: Scope, request: OpenRequest): Promise<Ingest | undefined> {
    try {
      return await transaction(this.#pool, (tx) => this.#open(tx, scope, request));
    } catch (error) {
      if (!isForeignKeyViolation(error, 'ingests_blob')) throw error;
      throw unavailable(`content ${request.expected} is being removed`, { cause: error });
    }
  }

  async #open(tx: Queryable, scope: Scope, request: OpenRequest): Promise<Ingest | undefined> {
    await lockScope(tx, scope, ['ingests', request.ref]);
    const lease = request.lease === undefined ? null : await leaseUid(tx, scope, request.lease);
    const found = await this.#find(tx, scope, request);
    if (found.held) {
      if (lease !== null) await addResource(tx, lease, 'content', request.expected ?? '');
      return undefined;
    }
    if (found.locked) throw unavailable(`ref ${request.ref} locked by another writer`);
    const linkedBytes =
      request.totalBytes === 0 || BigInt(request.totalBytes) === found.size ? found.size : null;
    const { rows } = await tx.query<Row>(OPEN, [
      scope.namespace,
      scope.node,
      request.ref,
      linkedBytes ?? BigInt(request.totalBytes),
      linkedBytes === null ? null : request.expected,
      linkedBytes === null ? null : found.generation,
      lease,
      INGEST_LIFETIME_MS,
      this.#options.instance,
      this.#options.writerTimeoutMs,
    ]);
    return fromRow(rows[0]!);
  }

  async #find(tx: Queryable, scope: Scope, { ref, expected }: OpenRequest): Promise<Found> {
    const { rows } = await tx.query<Found>(FIND, [
      scope.namespace,
      scope.node,
      ref,
      expected ?? '',
      this.#options.sharesNamespaces && scope.node !== '_',
    ]);
    return rows[0]!;
  }

  /** Keeps the writers' locks and records their progress; answers the uids of those that are still the last. */
  async checkpoint(progress: readonly Progress[]): Promise<Set<string>> {
    const rows = await query<{ uid: string }>(
      this.#pool,
      `UPDATE ingests AS i SET durable_bytes = p.durable_bytes,
         updated_at = CASE WHEN i.durable_bytes = p.durable_bytes THEN i.updated_at ELSE clock_timestamp() END,
         writer_until = clock_timestamp() + $4 * interval '1 ms'
       FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS p (uid, epoch, durable_bytes)
       WHERE i.uid = p.uid AND i.epoch = p.epoch RETURNING i.uid`,
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

  /** Gives the lock back and keeps what is durable. */
  async release({ uid, epoch }: Ingest, durableBytes: number): Promise<void> {
    await query(
      this.#pool,
      `UPDATE ingests SET durable_bytes = $3, updated_at = clock_timestamp(), writer = NULL, writer_until = NULL
       WHERE uid = $1 AND epoch = $2`,
      [uid, epoch, durableBytes],
    );
  }

  /** Gives back the locks that this instance held before it was restarted. */
  async releaseAll(): Promise<void> {
    await query(this.#pool, 'UPDATE ingests SET writer = NULL, writer_until = NULL WHERE writer = $1', [
      this.#options.instance,
    ]);
  }

  /**
   * Makes content of an ingest, in one transaction, with its event. When the scope holds the blob already, the
   * ingest goes all the same and `created` is undefined; the blob is on the lease in both cases. `generation` is
   * the one that the blob has now: another than received when the digest was stored already.
   * Throws Unavailable for a writer that is no longer the last, NotFound for an unknown lease.
   */
  commit(
    ingest: Ingest,
    received: Received,
    labels: Labels,
    lease: string | undefined,
    eventOf: (content: Content) => OutboxEvent,
  ): Promise<{ created: Content | undefined; generation: string }> {
    const { scope, ref } = ingest;
    const { digest, generation, sizeBytes } = received;
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['contents', digest], ['ingests', ref]);
      const leased = lease === undefined ? null : await leaseUid(tx, scope, lease);
      const { rows } = await tx.query<CommitRow>(COMMIT, [
        ingest.uid,
        ingest.epoch,
        digest,
        generation,
        sizeBytes,
        scope.namespace,
        scope.node,
        labels,
        leased,
        ref,
      ]);
      const row = rows[0];
      if (!row) throw lost({ ref });
      const { uid, revision, created_at, generation: stored } = row;
      if (uid === null || revision === null || created_at === null)
        return { created: undefined, generation: stored };
      const times = { createdAt: created_at, updatedAt: created_at };
      const created: Content = {
        uid,
        scope,
        digest,
        generation: stored,
        revision,
        sizeBytes,
        labels,
        ...times,
      };
      await appendEvent(tx, eventOf(created));
      return { created, generation: stored };
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
    return fromRow(rows[0]);
  }

  /** In byte order of the refs. */
  async list(scope: Scope): Promise<Ingest[]> {
    const rows = await query<Row>(
      this.#pool,
      `SELECT ${COLUMNS} FROM ingests WHERE namespace = $1 AND node = $2 ORDER BY ref COLLATE "C"`,
      [scope.namespace, scope.node],
    );
    return rows.map(fromRow);
  }
}

async function addResource(tx: Queryable, lease: string, kind: string, key: string): Promise<void> {
  await tx.query(
    `INSERT INTO lease_resources (lease, kind, key) VALUES ($1, $2, $3)
     ON CONFLICT (lease, kind, key) DO UPDATE SET changed = pg_current_xact_id()`,
    [lease, kind, key],
  );
}

function fromRow(row: Row): Ingest {
  return {
    uid: row.uid,
    scope: { namespace: row.namespace, node: row.node },
    ref: row.ref,
    totalBytes: Number(row.total),
    durableBytes: Number(row.durable_bytes),
    linked:
      row.linked_digest && row.linked_generation && isDigest(row.linked_digest)
        ? { digest: row.linked_digest, generation: row.linked_generation }
        : undefined,
    epoch: row.epoch,
    startedAt: row.started_at,
    updatedAt: row.updated_at,
  };
}

function missing(ref: string): Error {
  return notFound(`reference ${ref}`);
}
