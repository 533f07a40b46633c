import { ALL_LED, ledPart, type Pool, query, requireLed, type Term, termValues } from '@longshore/postgres';

/** A row that waits to be published. */
export interface OutboxRow {
  seq: bigint;
  id: string;
  partition: number;
  /** False while an older transaction is open, which may still add rows that belong before this one. */
  isSafe: boolean;
  namespace: string;
  node: string;
  topic: string;
  subject: string;
  revision: bigint;
  typeUrl: string;
  payload: Uint8Array;
  /** Microseconds since 1970. */
  createdAtUs: bigint;
}

/** Where a row is in the stream. */
export interface RelayedRow {
  id: string;
  streamSeq: bigint;
}

/** A (namespace, node) with rows that wait. */
export interface OutboxSource {
  namespace: string;
  node: string;
  oldest: Date;
}

export interface OutboxLag {
  rows: number;
  /** Age of the oldest row that waits; 0 when none does. */
  oldestSeconds: number;
}

/** Keeps a leader that is not one any more from writing: each write is one statement, which checks them. */
export interface PartitionTerms {
  /** Throws Unavailable unless all the partitions are led, as far as is known here. */
  of(partitions: readonly number[]): readonly Term[];
}

/** Counting a long backlog exactly would cost more than it tells. */
const MAX_COUNTED_ROWS = 100_000;

/** In one transaction, which holds back all relays while it lasts: a day's rows would take longer than a statement may. */
const UNMARKED_ROWS = 5_000;

/** Whoever leads it prunes all of the outbox. */
export const PRUNING_PARTITION = 0;

/**
 * The outbox of one schema as the relay sees it: the columns that packages/postgres declares. One of the two places
 * where a service reads what others own. Every write is of partitions that this process leads, and checks their terms.
 */
export class OutboxRepository {
  readonly #pool: Pool;
  readonly #table: string;
  readonly #terms: PartitionTerms;

  /** `schema` is trusted: it comes from configuration, checked there. */
  constructor(pool: Pool, schema: string, terms: PartitionTerms) {
    this.#pool = pool;
    this.#terms = terms;
    this.#table = `${schema}.outbox`;
  }

  /** False until the service that owns the schema has migrated it. */
  async exists(): Promise<boolean> {
    const rows = await query<{ found: string | null }>(this.#pool, 'SELECT to_regclass($1) AS found', [
      this.#table,
    ]);
    return rows[0]?.found !== null;
  }

  /** The next rows of these partitions, in order. */
  waiting(partitions: number[], limit: number): Promise<OutboxRow[]> {
    return query<OutboxRow>(
      this.#pool,
      `SELECT seq, id, partition, xid < pg_snapshot_xmin(pg_current_snapshot()) AS "isSafe", namespace, node, topic,
         subject, revision, type_url AS "typeUrl", payload,
         (extract(epoch FROM created_at) * 1000000)::bigint AS "createdAtUs"
       FROM ${this.#table} WHERE stream_seq IS NULL AND partition = ANY($1) ORDER BY seq LIMIT $2`,
      [partitions, limit],
    );
  }

  waitingSources(partitions: number[]): Promise<OutboxSource[]> {
    return query<OutboxSource>(
      this.#pool,
      `SELECT namespace, node, min(created_at) AS oldest
       FROM ${this.#table} WHERE stream_seq IS NULL AND partition = ANY($1) GROUP BY namespace, node`,
      [partitions],
    );
  }

  /** `led` are the partitions of the rows. */
  async markRelayed(rows: { seq: bigint; streamSeq: bigint }[], led: number[]): Promise<void> {
    await this.#write(
      led,
      `UPDATE ${this.#table} AS o SET stream_seq = r.stream_seq, relayed_at = clock_timestamp()
       FROM unnest($3::bigint[], $4::bigint[]) AS r(seq, stream_seq)
       WHERE o.seq = r.seq AND o.stream_seq IS NULL AND o.partition = ANY($5) AND ${ALL_LED} RETURNING o.seq`,
      [rows.map((row) => row.seq), rows.map((row) => row.streamSeq), led],
    );
  }

  /** Marks the waiting rows among these ids, which may be anybody's; answers how many there were. */
  markStored(ids: ReadonlyMap<string, bigint>, led: number[]): Promise<number> {
    return this.#write(
      led,
      `UPDATE ${this.#table} AS o SET stream_seq = r.stream_seq, relayed_at = clock_timestamp()
       FROM unnest($3::text[], $4::bigint[]) AS r(id, stream_seq)
       WHERE o.id::text = r.id AND o.stream_seq IS NULL AND o.partition = ANY($5) AND ${ALL_LED} RETURNING o.seq`,
      [[...ids.keys()], [...ids.values()], led],
    );
  }

  /**
   * The relayed row of these partitions that is furthest along in the stream, at or before `streamSeq` if that is given. Of
   * several at one place the first relayed: it is the one that was lost.
   */
  async lastRelayed(partitions: number[], streamSeq?: bigint): Promise<RelayedRow | undefined> {
    const rows = await query<RelayedRow>(
      this.#pool,
      `SELECT id, stream_seq AS "streamSeq" FROM ${this.#table}
       WHERE stream_seq IS NOT NULL AND partition = ANY($2)
         AND ($1::bigint IS NULL OR stream_seq <= $1) ORDER BY stream_seq DESC, relayed_at LIMIT 1`,
      [streamSeq ?? null, partitions],
    );
    return rows[0];
  }

  /**
   * Rows relayed at this place in the stream or later wait again, the last ones first: who goes on after a failure finds that
   * some are lost still. Answers how many.
   */
  async unmarkFrom(streamSeq: bigint, led: number[]): Promise<number> {
    for (let unmarked = 0; ; ) {
      const rows = await this.#write(
        led,
        `UPDATE ${this.#table} SET stream_seq = NULL, relayed_at = NULL WHERE ${ALL_LED} AND seq = ANY (ARRAY(
           SELECT seq FROM ${this.#table} WHERE stream_seq >= $3 AND partition = ANY($4)
           ORDER BY stream_seq DESC LIMIT ${UNMARKED_ROWS})) RETURNING seq`,
        [streamSeq, led],
      );
      unmarked += rows;
      if (rows < UNMARKED_ROWS) return unmarked;
    }
  }

  async lag(): Promise<OutboxLag> {
    const rows = await query<{ rows: bigint; seconds: number }>(
      this.#pool,
      `SELECT count(*) AS rows, coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS seconds
       FROM (SELECT created_at FROM ${this.#table} WHERE stream_seq IS NULL ORDER BY partition, seq LIMIT $1) AS waiting`,
      [MAX_COUNTED_ROWS],
    );
    return { rows: Number(rows[0]?.rows ?? 0), oldestSeconds: Math.max(0, rows[0]?.seconds ?? 0) };
  }

  /** Deletes rows of all partitions relayed longer ago than `keepMs`, at most `limit`; for the leader of the first. */
  prune(keepMs: number, limit: number): Promise<number> {
    return this.#write(
      [PRUNING_PARTITION],
      `DELETE FROM ${this.#table} WHERE ${ALL_LED} AND seq = ANY (ARRAY(
         SELECT seq FROM ${this.#table}
         WHERE stream_seq IS NOT NULL AND relayed_at < clock_timestamp() - make_interval(secs => $3 / 1000.0)
         ORDER BY relayed_at LIMIT $4)) RETURNING seq`,
      [keepMs, limit],
    );
  }

  /** `text` writes only if {@link ALL_LED}, has its own parameters from 3 on, and returns its rows; answers how many. */
  async #write(led: number[], text: string, values: readonly unknown[]): Promise<number> {
    const terms = this.#terms.of(led);
    const rows = await query<{ led: string[]; written: bigint }>(
      this.#pool,
      `WITH ${ledPart(1)}, written AS (${text})
       SELECT ARRAY(SELECT name FROM led) AS led, (SELECT count(*) FROM written) AS written`,
      [...termValues(terms), ...values],
    );
    requireLed(terms, rows[0]?.led ?? []);
    return Number(rows[0]?.written ?? 0);
  }
}
