import { timingSafeEqual } from 'node:crypto';
import { notFound } from '@longshore/errors';
import type { Labels } from '@longshore/oci';
import { type Pool, type Queryable, query } from '@longshore/postgres';
import { hashSecret, invalidToken, type JoinTokenParts } from '../../domain/join-token.ts';

export interface JoinToken {
  id: string;
  /** Empty: good for any id. */
  nodeId: string;
  labels: Labels;
  createdAt: Date;
  expiresAt: Date;
  /** Empty until used. */
  usedBy: string;
}

/** Who trades a token in. */
export interface Joiner {
  nodeId: string;
  machineId: string;
  /** SHA-256 of its public key. */
  keyHash: Buffer;
}

interface Row {
  id: string;
  node_id: string;
  labels: Labels;
  created_at: Date;
  expires_at: Date;
  used_by: string;
}

interface SecretRow extends Row {
  secret_hash: Buffer;
  expired: boolean;
  used_machine_id: string;
  used_key_hash: Buffer | null;
}

const COLUMNS = 'id, node_id, labels, created_at, expires_at, used_by';
/** Used and expired ones stay to be looked at. */
const KEEP_MS = 7 * 24 * 60 * 60_000;

/** Join tokens, in the table `join_tokens`; their secrets are in no table. */
export class JoinTokenRepository {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async create(token: JoinTokenParts, nodeId: string, labels: Labels, ttlMs: number): Promise<JoinToken> {
    const rows = await query<Row>(
      this.#pool,
      `INSERT INTO join_tokens (id, secret_hash, node_id, labels, expires_at)
       VALUES ($1, $2, $3, $4, clock_timestamp() + $5 * interval '1 ms') RETURNING ${COLUMNS}`,
      [token.id, hashSecret(token.secret), nodeId, labels, ttlMs],
    );
    return fromRow(rows[0]!);
  }

  /** The newest first. */
  async list(): Promise<JoinToken[]> {
    const rows = await query<Row>(
      this.#pool,
      `SELECT ${COLUMNS} FROM join_tokens ORDER BY created_at DESC, id`,
    );
    return rows.map(fromRow);
  }

  /** Throws NotFound. */
  async delete(id: string): Promise<void> {
    const rows = await query(this.#pool, 'DELETE FROM join_tokens WHERE id::text = $1 RETURNING id', [id]);
    if (rows.length === 0) throw notFound(`join token ${JSON.stringify(id)}`);
  }

  /**
   * Uses a token up, in the transaction of what it is good for, and answers what it was. Whoever used it may do so again,
   * and gets the same: its answer may have been lost. Throws Unauthenticated.
   */
  async use(tx: Queryable, { id, secret }: JoinTokenParts, joiner: Joiner): Promise<JoinToken> {
    const { rows } = await tx.query<SecretRow>(
      `SELECT ${COLUMNS}, secret_hash, expires_at <= clock_timestamp() AS expired, used_machine_id, used_key_hash
       FROM join_tokens WHERE id = $1 FOR UPDATE`,
      [id],
    );
    const row = rows[0];
    if (!row || !timingSafeEqual(row.secret_hash, hashSecret(secret))) throw invalidToken('is not known');
    if (row.expired) throw invalidToken('has expired');
    if (row.used_key_hash && !isSame(row, row.used_key_hash, joiner)) throw invalidToken('was used already');
    if (row.node_id !== '' && row.node_id !== joiner.nodeId) {
      throw invalidToken(`is good for another node than ${JSON.stringify(joiner.nodeId)}`);
    }
    await tx.query(
      `UPDATE join_tokens SET used_at = coalesce(used_at, clock_timestamp()), used_by = $2, used_machine_id = $3,
         used_key_hash = $4 WHERE id = $1`,
      [id, joiner.nodeId, joiner.machineId, joiner.keyHash],
    );
    return fromRow(row);
  }

  /** Nobody gets the answer of a used token again: its node was removed. */
  async expireUsedBy(tx: Queryable, nodeId: string): Promise<void> {
    await tx.query(
      'UPDATE join_tokens SET expires_at = least(expires_at, clock_timestamp()) WHERE used_by = $1',
      [nodeId],
    );
  }

  async prune(): Promise<void> {
    await query(
      this.#pool,
      `DELETE FROM join_tokens WHERE expires_at < clock_timestamp() - $1 * interval '1 ms'`,
      [KEEP_MS],
    );
  }
}

function isSame(row: SecretRow, usedKeyHash: Buffer, joiner: Joiner): boolean {
  return (
    row.used_by === joiner.nodeId &&
    row.used_machine_id === joiner.machineId &&
    usedKeyHash.equals(joiner.keyHash)
  );
}

function fromRow(row: Row): JoinToken {
  return {
    id: row.id,
    nodeId: row.node_id,
    labels: row.labels,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    usedBy: row.used_by,
  };
}
