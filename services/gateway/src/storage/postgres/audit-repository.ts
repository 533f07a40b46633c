import { type Pool, type Queryable, query, transaction } from '@longshore/postgres';
import { FLEET } from '@longshore/proto/headers';

/** An event of the audit log, encoded. */
export interface AuditRow {
  /** A UUID. */
  id: string;
  payload: Buffer;
}

/** What a record is found by, and its payload. */
export interface AuditRecordRow extends AuditRow {
  /** Milliseconds since the epoch. */
  at: number;
  namespace: string;
  caller: string;
  action: string;
  result: AuditResultName;
}

export const AUDIT_RESULTS = ['ok', 'failed', 'unknown', 'refused'] as const;
export type AuditResultName = (typeof AUDIT_RESULTS)[number];

/** Where a page of records ended: the newest come first. */
export interface AuditPlace {
  at: number;
  id: string;
}

/** Of records; what is undefined says nothing. */
export interface AuditQuery {
  namespace?: string | undefined;
  sinceMs?: number | undefined;
  /** Exclusive. */
  untilMs?: number | undefined;
  caller?: string | undefined;
  action?: string | undefined;
  result?: AuditResultName | undefined;
  /** Only what is behind. */
  after?: AuditPlace | undefined;
  limit: number;
}

/** The event of a call has its record's id, so that the stream takes it once; that of a guess has one of its own. */
const told = (eventId: string, from: string) => `
  INSERT INTO outbox (id, namespace, node, topic, subject, revision, type_url, payload)
  SELECT ${eventId}, '${FLEET}', '${FLEET}', $1, id::text, nextval('revision'), $2, payload FROM ${from}`;

const GIVEN = 'unnest($3::uuid[], $4::bytea[]) AS t (id, payload)';

/** A guess that a call was never heard of again is put right by what is known. */
const KEPT = `
  INSERT INTO audit_records (id, payload, at, namespace, caller, action, result)
  SELECT * FROM unnest($3::uuid[], $4::bytea[], $5::timestamptz[], $6::text[], $7::text[], $8::text[], $9::text[])
  ON CONFLICT (id) DO UPDATE SET payload = EXCLUDED.payload, result = EXCLUDED.result`;

/** Intents, in the table `audit_intents`, and whose they are, in `audit_gateways`; outcomes become events, and `audit_records`. */
export class AuditRepository {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Says that a gateway is there. */
  async beat(gateway: string): Promise<void> {
    await query(
      this.#pool,
      'INSERT INTO audit_gateways (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp()',
      [gateway],
    );
  }

  /** Answers whether the intents were kept: they are not when others have taken the gateway for dead. */
  async begin(gateway: string, intents: readonly AuditRow[]): Promise<boolean> {
    const kept = await query(
      this.#pool,
      `INSERT INTO audit_intents (id, gateway, payload)
       SELECT t.id, $1, t.payload
       FROM (SELECT FROM audit_gateways WHERE id = $1 FOR KEY SHARE) AS alive,
         unnest($2::uuid[], $3::bytea[]) AS t (id, payload)
       RETURNING 1 AS kept`,
      [gateway, ...columnsOf(intents)],
    );
    return kept.length === intents.length;
  }

  /** Tells how calls ended. May be repeated: an event's id is its record's, and the stream takes each once. */
  async end(topic: string, typeUrl: string, ended: readonly AuditRecordRow[]): Promise<void> {
    await query(
      this.#pool,
      `WITH told AS (${told('id', GIVEN)}), kept AS (${KEPT}) DELETE FROM audit_intents WHERE id = ANY ($3)`,
      [topic, typeUrl, ...recordColumnsOf(ended)],
    );
  }

  /** Tells what has no intent. May be repeated. */
  async tell(topic: string, typeUrl: string, rows: readonly AuditRecordRow[]): Promise<void> {
    await query(this.#pool, `WITH told AS (${told('id', GIVEN)}) ${KEPT}`, [
      topic,
      typeUrl,
      ...recordColumnsOf(rows),
    ]);
  }

  /** The newest first. */
  async list(wanted: AuditQuery): Promise<(AuditRow & Pick<AuditRecordRow, 'at' | 'result'>)[]> {
    const { namespace, caller, action, result, sinceMs, untilMs, after, limit } = wanted;
    const values: unknown[] = [limit];
    const conditions = ['true'];
    // Only what is asked for: with the rest in it the plan would be one for all.
    const where = (value: unknown, condition: (place: string) => string) => {
      if (value === undefined) return;
      values.push(value);
      conditions.push(condition(`$${values.length}`));
    };
    for (const [column, value] of Object.entries({ namespace, caller, action, result })) {
      where(value, (place) => `${column} = ${place}`);
    }
    where(timeOf(sinceMs), (place) => `at >= ${place}`);
    where(timeOf(untilMs), (place) => `at < ${place}`);
    if (after) {
      values.push(timeOf(after.at), after.id);
      conditions.push(`(at, id) < ($${values.length - 1}, $${values.length}::uuid)`);
    }
    const rows = await query<{ id: string; at: Date; result: AuditResultName; payload: Buffer }>(
      this.#pool,
      `SELECT id, at, result, payload FROM audit_records WHERE ${conditions.join(' AND ')}
       ORDER BY at DESC, id DESC LIMIT $1`,
      values,
    );
    return rows.map((row) => ({ ...row, at: row.at.getTime() }));
  }

  /** Forgets records that are older, at most `limit`; answers how many. */
  async forget(olderThanMs: number, limit: number): Promise<number> {
    const gone = await query(
      this.#pool,
      `DELETE FROM audit_records WHERE id IN (
         SELECT id FROM audit_records WHERE at < clock_timestamp() - $1 * interval '1 ms' ORDER BY at LIMIT $2
       ) RETURNING 1 AS gone`,
      [olderThanMs, limit],
    );
    return gone.length;
  }

  /**
   * Tells what a gateway left that was silent for `ttlMs`, at most `limit` at a time; with the last of it the gateway is
   * forgotten. Answers how many were told; undefined when there is no such gateway.
   */
  async completeDead(
    topic: string,
    typeUrl: string,
    { ttlMs, limit, recordOf }: CompletionOptions,
  ): Promise<number | undefined> {
    return transaction(this.#pool, async (tx) => {
      const [dead] = await query<{ id: string }>(
        tx,
        `SELECT id FROM audit_gateways WHERE seen_at < clock_timestamp() - $1 * interval '1 ms'
         ORDER BY seen_at LIMIT 1 FOR UPDATE SKIP LOCKED`,
        [ttlMs],
      );
      if (!dead) return undefined;
      const left = await query<AuditRow>(
        tx,
        `WITH dead AS (
           DELETE FROM audit_intents WHERE id IN (SELECT id FROM audit_intents WHERE gateway = $3 LIMIT $4)
           RETURNING id, payload
         ), told AS (${told('gen_random_uuid()', 'dead')}) SELECT id, payload FROM dead`,
        [topic, typeUrl, dead.id, limit],
      );
      await keep(tx, left.map(recordOf));
      if (left.length < limit) await forget(tx, dead.id);
      return left.length;
    });
  }

  /** A gateway that stops: what it leaves is completed by the others at once. */
  async leave(gateway: string): Promise<void> {
    await query(this.#pool, `UPDATE audit_gateways SET seen_at = '-infinity' WHERE id = $1`, [gateway]);
  }
}

export interface CompletionOptions {
  ttlMs: number;
  limit: number;
  recordOf(intent: AuditRow): AuditRecordRow;
}

/** What is known already stays. */
async function keep(tx: Queryable, records: readonly AuditRecordRow[]): Promise<void> {
  await query(
    tx,
    `INSERT INTO audit_records (id, payload, at, namespace, caller, action, result)
     SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[])
     ON CONFLICT (id) DO NOTHING`,
    recordColumnsOf(records),
  );
}

async function forget(tx: Queryable, gateway: string): Promise<void> {
  await query(tx, 'DELETE FROM audit_gateways WHERE id = $1', [gateway]);
}

function recordColumnsOf(rows: readonly AuditRecordRow[]): unknown[] {
  return [
    ...columnsOf(rows),
    rows.map(({ at }) => timeOf(at)),
    rows.map(({ namespace }) => namespace),
    rows.map(({ caller }) => caller),
    rows.map(({ action }) => action),
    rows.map(({ result }) => result),
  ];
}

function timeOf(ms: number | undefined): Date | undefined {
  return ms === undefined ? undefined : new Date(ms);
}

function columnsOf(rows: readonly AuditRow[]): [ids: string[], payloads: Buffer[]] {
  return [rows.map(({ id }) => id), rows.map(({ payload }) => payload)];
}
