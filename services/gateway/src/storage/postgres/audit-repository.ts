import { type Pool, type Queryable, query, transaction } from '@longshore/postgres';
import { FLEET } from '@longshore/proto/headers';

/** An event of the audit log, encoded. */
export interface AuditRow {
  /** A UUID. */
  id: string;
  payload: Buffer;
}

/** The event of a call has its record's id, so that the stream takes it once; that of a guess has one of its own. */
const told = (eventId: string, from: string) => `
  INSERT INTO outbox (id, namespace, node, topic, subject, revision, type_url, payload)
  SELECT ${eventId}, '${FLEET}', '${FLEET}', $1, id::text, nextval('revision'), $2, payload FROM ${from}`;

const GIVEN = 'unnest($3::uuid[], $4::bytea[]) AS t (id, payload)';

/** Intents, in the table `audit_intents`, and whose they are, in `audit_gateways`; outcomes become events. */
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
  async end(topic: string, typeUrl: string, ended: readonly AuditRow[]): Promise<void> {
    await query(
      this.#pool,
      `WITH told AS (${told('id', GIVEN)}) DELETE FROM audit_intents WHERE id = ANY ($3)`,
      [topic, typeUrl, ...columnsOf(ended)],
    );
  }

  /** Tells what has no intent. May be repeated. */
  async tell(topic: string, typeUrl: string, rows: readonly AuditRow[]): Promise<void> {
    await query(this.#pool, told('id', GIVEN), [topic, typeUrl, ...columnsOf(rows)]);
  }

  /**
   * Tells what a gateway left that was silent for `ttlMs`, at most `limit` at a time; with the last of it the gateway is
   * forgotten. Answers how many were told; undefined when there is no such gateway.
   */
  async completeDead(
    topic: string,
    typeUrl: string,
    { ttlMs, limit }: { ttlMs: number; limit: number },
  ): Promise<number | undefined> {
    return transaction(this.#pool, async (tx) => {
      const [dead] = await query<{ id: string }>(
        tx,
        `SELECT id FROM audit_gateways WHERE seen_at < clock_timestamp() - $1 * interval '1 ms'
         ORDER BY seen_at LIMIT 1 FOR UPDATE SKIP LOCKED`,
        [ttlMs],
      );
      if (!dead) return undefined;
      const events = await query(
        tx,
        `WITH dead AS (
           DELETE FROM audit_intents WHERE id IN (SELECT id FROM audit_intents WHERE gateway = $3 LIMIT $4)
           RETURNING id, payload
         ) ${told('gen_random_uuid()', 'dead')} RETURNING 1 AS told`,
        [topic, typeUrl, dead.id, limit],
      );
      if (events.length < limit) await forget(tx, dead.id);
      return events.length;
    });
  }

  /** A gateway that stops: what it leaves is completed by the others at once. */
  async leave(gateway: string): Promise<void> {
    await query(this.#pool, `UPDATE audit_gateways SET seen_at = '-infinity' WHERE id = $1`, [gateway]);
  }
}

async function forget(tx: Queryable, gateway: string): Promise<void> {
  await query(tx, 'DELETE FROM audit_gateways WHERE id = $1', [gateway]);
}

function columnsOf(rows: readonly AuditRow[]): [ids: string[], payloads: Buffer[]] {
  return [rows.map(({ id }) => id), rows.map(({ payload }) => payload)];
}
