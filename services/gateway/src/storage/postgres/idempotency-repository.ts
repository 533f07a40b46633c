import { randomUUID } from 'node:crypto';
import { type Pool, query } from '@longshore/postgres';

/** More than requests that make something take; of one that takes longer it is renewed. */
const CLAIM_SECONDS = 120;
const KEPT_HOURS = 24;
/** Expired ones that go with each new one. */
const SWEPT = 10;

/** A request that its caller may repeat. */
export interface RepeatableRequest {
  caller: string;
  key: string;
  hash: Buffer;
}

export interface KeptAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** `claimed`: to be done, and then told; `answered`: done before; `busy`: under way; `other`: the key is another request's. */
export type Claim =
  | { state: 'claimed'; claim: string }
  | { state: 'answered'; answer: KeptAnswer }
  | { state: 'busy' }
  | { state: 'other' };

interface Row {
  request_hash: Buffer;
  status: number | null;
  headers: Record<string, string>;
  body: string;
}

/** Answers to requests with a key, in the table `idempotency_keys`; they are kept for a day. */
export class IdempotencyRepository {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async claim({ caller, key, hash }: RepeatableRequest): Promise<Claim> {
    const claim = randomUUID();
    const claimed = await query(this.#pool, CLAIM, [caller, key, hash, claim]);
    if (claimed.length > 0) return { state: 'claimed', claim };
    const [row] = await query<Row>(
      this.#pool,
      'SELECT request_hash, status, headers, body FROM idempotency_keys WHERE caller = $1 AND key = $2',
      [caller, key],
    );
    // It has just been released.
    if (!row) return { state: 'busy' };
    if (!row.request_hash.equals(hash)) return { state: 'other' };
    if (row.status === null) return { state: 'busy' };
    return { state: 'answered', answer: { status: row.status, headers: row.headers, body: row.body } };
  }

  /** Whether it was kept: the claim may have run out, and another have the request. */
  async keep(claim: string, { status, headers, body }: KeptAnswer): Promise<boolean> {
    const kept = await query(
      this.#pool,
      'UPDATE idempotency_keys SET status = $2, headers = $3, body = $4 WHERE claim = $1 RETURNING 1 AS kept',
      [claim, status, headers, body],
    );
    return kept.length > 0;
  }

  /** For a request that takes longer than others. */
  async renew(claim: string): Promise<void> {
    await query(
      this.#pool,
      `UPDATE idempotency_keys SET claimed_until = statement_timestamp() + interval '${CLAIM_SECONDS} s' WHERE claim = $1`,
      [claim],
    );
  }

  /** What was answered is not true any more: repeated, the request is done anew. */
  async forget(claim: string): Promise<void> {
    await query(this.#pool, 'DELETE FROM idempotency_keys WHERE claim = $1', [claim]);
  }

  /** For a request that has made nothing: repeated, it is tried anew. */
  async release(claim: string): Promise<void> {
    await query(this.#pool, 'DELETE FROM idempotency_keys WHERE claim = $1 AND status IS NULL', [claim]);
  }
}

const CLAIM = `
  WITH swept AS (
    DELETE FROM idempotency_keys WHERE (caller, key) IN (
      SELECT caller, key FROM idempotency_keys
      WHERE expires_at < statement_timestamp() AND (caller, key) <> ($1, $2)
      ORDER BY expires_at LIMIT ${SWEPT} FOR UPDATE SKIP LOCKED)
  )
  INSERT INTO idempotency_keys AS known (caller, key, request_hash, claim, claimed_until, expires_at)
  VALUES ($1, $2, $3, $4, statement_timestamp() + interval '${CLAIM_SECONDS} s',
    statement_timestamp() + interval '${KEPT_HOURS} h')
  ON CONFLICT (caller, key) DO UPDATE SET request_hash = excluded.request_hash, claim = excluded.claim,
    claimed_until = excluded.claimed_until, expires_at = excluded.expires_at, status = NULL, headers = NULL, body = NULL
  WHERE known.expires_at < statement_timestamp() OR known.status IS NULL
    AND known.claimed_until < statement_timestamp() AND known.request_hash = excluded.request_hash
  RETURNING 1 AS claimed`;
