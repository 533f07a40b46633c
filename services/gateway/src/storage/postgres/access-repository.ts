import { LongshoreError, notFound } from '@longshore/errors';
import { type Pool, query, transaction } from '@longshore/postgres';
import type { StoredToken } from '../../access/api-token.ts';
import type { Role, RoleBinding } from '../../access/role.ts';

/** All of both are in every gateway's memory. */
const MAX_TOKENS = 10_000;
const MAX_BINDINGS = 50_000;
/** Expired tokens stay to be looked at. */
const KEEP_EXPIRED = '7 days';

/** A binding as people look at it. */
export interface BindingRecord extends RoleBinding {
  createdBy: string;
  createdAt: Date;
}

/** A token as people look at it. */
export interface TokenRecord {
  id: string;
  description: string;
  namespace: string;
  createdBy: string;
  createdAt: Date;
  expiresAt: Date;
}

export interface NewToken extends Pick<TokenRecord, 'id' | 'description' | 'namespace' | 'createdBy'> {
  secretHash: Buffer;
  role: Role;
  ttlMs: number;
}

/** What decides about callers, as of one version or a little later. */
export interface AccessRows {
  version: bigint;
  tokens: StoredToken[];
  bindings: RoleBinding[];
}

/** Some of a list. */
export interface PageOf<K> {
  /** Undefined: of all. */
  namespace?: string | undefined;
  /** What names the last one that was listed. */
  after?: K | undefined;
  limit: number;
}

interface BindingRow {
  subject: string;
  namespace: string;
  role: Role;
  created_by: string;
  created_at: Date;
}

interface TokenRow {
  id: string;
  description: string;
  namespace: string;
  created_by: string;
  created_at: Date;
  expires_at: Date;
}

const BINDING = 'subject, namespace, role, created_by, created_at';
const TOKEN = 'id, description, namespace, created_by, created_at, expires_at';

/** Tokens and role bindings, in the tables `access_tokens` and `role_bindings`. */
export class AccessRepository {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Grows with every change of any gateway. */
  async version(): Promise<bigint> {
    const rows = await query<{ version: bigint }>(this.#pool, 'SELECT version FROM access_version');
    return rows[0]!.version;
  }

  /** Tokens that have expired are left out. */
  async load(): Promise<AccessRows> {
    // Read first: what the others show may be newer, and is then loaded again.
    const version = await this.version();
    const tokens = await query<{ id: string; secret_hash: Buffer; expires_at: Date }>(
      this.#pool,
      'SELECT id, secret_hash, expires_at FROM access_tokens WHERE expires_at > clock_timestamp()',
    );
    const bindings = await query<RoleBinding>(
      this.#pool,
      'SELECT subject, namespace, role FROM role_bindings',
    );
    return {
      version,
      tokens: tokens.map((row) => ({ id: row.id, secretHash: row.secret_hash, expiresAt: row.expires_at })),
      bindings,
    };
  }

  /** Makes a token and binds it to its role. Throws ResourceExhausted when there are too many. */
  async createToken(token: NewToken): Promise<TokenRecord> {
    return transaction(this.#pool, async (tx) => {
      await tx.query(
        `DELETE FROM access_tokens WHERE expires_at < clock_timestamp() - interval '${KEEP_EXPIRED}'`,
      );
      await tx.query(
        `DELETE FROM role_bindings WHERE subject LIKE 'token/%'
           AND substr(subject, 7) NOT IN (SELECT id FROM access_tokens)`,
      );
      const { rows } = await tx.query<TokenRow>(
        `INSERT INTO access_tokens (id, secret_hash, description, namespace, created_by, expires_at)
         SELECT $1, $2, $3, $4, $5, clock_timestamp() + $6 * interval '1 ms'
         WHERE (SELECT count(*) FROM access_tokens) < ${MAX_TOKENS}
         RETURNING ${TOKEN}`,
        [token.id, token.secretHash, token.description, token.namespace, token.createdBy, token.ttlMs],
      );
      if (rows.length === 0) throw tooMany('tokens', MAX_TOKENS);
      await tx.query(
        'INSERT INTO role_bindings (subject, namespace, role, created_by) VALUES ($1, $2, $3, $4)',
        [`token/${token.id}`, token.namespace, token.role, token.createdBy],
      );
      return tokenOf(rows[0]!);
    });
  }

  /** The newest first; of one namespace, or of all. Those behind the token that `after` names by when it was made, and its id. */
  async listTokens({
    namespace,
    after,
    limit,
  }: PageOf<readonly [createdAt: string, id: string]>): Promise<TokenRecord[]> {
    const [createdAt = null, id = null] = after ?? [];
    const rows = await query<TokenRow>(
      this.#pool,
      `SELECT ${TOKEN} FROM access_tokens
       WHERE ($1::text IS NULL OR namespace = $1)
         AND ($2::timestamptz IS NULL
           OR (date_trunc('milliseconds', created_at), id) < ($2::timestamptz, $3::text))
       ORDER BY date_trunc('milliseconds', created_at) DESC, id DESC LIMIT $4`,
      [namespace ?? null, createdAt, id, limit],
    );
    return rows.map(tokenOf);
  }

  /** With its bindings. Throws NotFound, also for one that was made for another namespace. */
  async deleteToken(id: string, namespace?: string): Promise<void> {
    await transaction(this.#pool, async (tx) => {
      const { rowCount } = await tx.query(
        'DELETE FROM access_tokens WHERE id = $1 AND ($2::text IS NULL OR namespace = $2)',
        [id, namespace ?? null],
      );
      if (rowCount === 0) throw notFound(`token ${JSON.stringify(id)}`);
      await tx.query('DELETE FROM role_bindings WHERE subject = $1', [`token/${id}`]);
    });
  }

  /** One that is there already stays as it is. Throws ResourceExhausted when there are too many. */
  async bind({ subject, namespace, role }: RoleBinding, createdBy: string): Promise<BindingRecord> {
    const values = [subject, namespace, role];
    await query(
      this.#pool,
      `INSERT INTO role_bindings (subject, namespace, role, created_by)
       SELECT $1, $2, $3, $4 WHERE (SELECT count(*) FROM role_bindings) < ${MAX_BINDINGS}
       ON CONFLICT DO NOTHING`,
      [...values, createdBy],
    );
    const rows = await query<BindingRow>(
      this.#pool,
      `SELECT ${BINDING} FROM role_bindings WHERE subject = $1 AND namespace = $2 AND role = $3`,
      values,
    );
    if (rows.length === 0) throw tooMany('bindings', MAX_BINDINGS);
    return bindingOf(rows[0]!);
  }

  /** In the byte order of their subjects, namespaces and roles; of one namespace, or of all. Those behind `after`. */
  async listBindings({
    namespace,
    after,
    limit,
  }: PageOf<readonly [subject: string, namespace: string, role: string]>): Promise<BindingRecord[]> {
    const rows = await query<BindingRow>(
      this.#pool,
      `SELECT ${BINDING} FROM role_bindings
       WHERE ($1::text IS NULL OR namespace = $1)
         AND ($2::text IS NULL
           OR (subject COLLATE "C", namespace COLLATE "C", role COLLATE "C") > ($2, $3::text, $4::text))
       ORDER BY subject COLLATE "C", namespace COLLATE "C", role COLLATE "C" LIMIT $5`,
      [namespace ?? null, ...(after ?? [null, null, null]), limit],
    );
    return rows.map(bindingOf);
  }

  /** Throws NotFound. */
  async unbind({ subject, namespace, role }: RoleBinding): Promise<void> {
    const rows = await query(
      this.#pool,
      'DELETE FROM role_bindings WHERE subject = $1 AND namespace = $2 AND role = $3 RETURNING subject',
      [subject, namespace, role],
    );
    if (rows.length > 0) return;
    throw notFound(`role ${role} of ${JSON.stringify(subject)} in ${JSON.stringify(namespace)}`);
  }
}

function tokenOf(row: TokenRow): TokenRecord {
  const { id, description, namespace } = row;
  return {
    id,
    description,
    namespace,
    createdBy: row.created_by,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  };
}

function bindingOf({ subject, namespace, role, created_by, created_at }: BindingRow): BindingRecord {
  return { subject, namespace, role, createdBy: created_by, createdAt: created_at };
}

function tooMany(what: string, most: number): LongshoreError {
  return new LongshoreError('ResourceExhausted', `${what}: there are ${most}: resource exhausted`);
}
