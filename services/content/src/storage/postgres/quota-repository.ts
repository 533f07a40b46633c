import type { Digest } from '@longshore/oci';
import { type Pool, query } from '@longshore/postgres';
import type { Limits, Quota } from '../../domain/quota.ts';
import { withinQuota } from './quota-error.ts';

interface Row {
  namespace: string;
  own_bytes: bigint | null;
  own_ingests: bigint | null;
  max_bytes: bigint;
  max_ingests: bigint;
  bytes: bigint;
  ingests: bigint;
}

/** Follows `FROM …` with the names, as n (namespace). */
const COLUMNS = `n.namespace, o.stored_bytes AS own_bytes, o.open_ingests AS own_ingests, q.stored_bytes AS max_bytes,
  q.open_ingests AS max_ingests, used_bytes(n.namespace) AS bytes, open_ingests(n.namespace) AS ingests`;
const WITH_LIMITS =
  'CROSS JOIN quota_of(n.namespace) AS q LEFT JOIN quotas AS o ON o.namespace = n.namespace';

/** Limits and use of namespaces' names, in the tables of migrations/0007_quotas.sql. */
export class QuotaRepository {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async get(namespace: string): Promise<Quota> {
    const rows = await query<Row>(
      this.#pool,
      `SELECT ${COLUMNS} FROM (SELECT $1 AS namespace) AS n ${WITH_LIMITS}`,
      [namespace],
    );
    return fromRow(rows[0]!);
  }

  /** Namespaces with limits of their own, bytes, or open ingests; in byte order of their names. */
  async list(): Promise<Quota[]> {
    const rows = await query<Row>(
      this.#pool,
      `SELECT ${COLUMNS} FROM (
         SELECT namespace FROM quotas UNION SELECT namespace FROM namespace_bytes UNION SELECT namespace FROM ingests
       ) AS n ${WITH_LIMITS} ORDER BY n.namespace COLLATE "C"`,
    );
    return rows
      .map(fromRow)
      .filter(
        ({ own, storedBytes, openIngests }) =>
          own.storedBytes !== undefined ||
          own.openIngests !== undefined ||
          storedBytes > 0 ||
          openIngests > 0,
      );
  }

  /** Replaces both limits. */
  async set(namespace: string, { storedBytes, openIngests }: Limits): Promise<void> {
    await query(
      this.#pool,
      `INSERT INTO quotas (namespace, stored_bytes, open_ingests) VALUES ($1, $2, $3)
       ON CONFLICT (namespace) DO UPDATE SET stored_bytes = excluded.stored_bytes, open_ingests = excluded.open_ingests`,
      [namespace, storedBytes ?? null, openIngests ?? null],
    );
  }

  /** What holds where a namespace has no limit of its own. */
  async setDefaults({
    storedBytes,
    openIngests,
  }: {
    storedBytes: number;
    openIngests: number;
  }): Promise<void> {
    await query(
      this.#pool,
      `INSERT INTO quota_defaults AS d (stored_bytes, open_ingests) VALUES ($1, $2)
       ON CONFLICT (is_only) DO UPDATE SET stored_bytes = excluded.stored_bytes, open_ingests = excluded.open_ingests
       WHERE (d.stored_bytes, d.open_ingests) <> (excluded.stored_bytes, excluded.open_ingests)`,
      [storedBytes, openIngests],
    );
  }

  /** Throws ResourceExhausted unless a namespace may store a blob more; what it holds already costs nothing. */
  async admit(namespace: string, digest: Digest, sizeBytes: number): Promise<void> {
    await withinQuota(query(this.#pool, 'SELECT admit_blob($1, $2, $3)', [namespace, digest, sizeBytes]));
  }
}

function fromRow(row: Row): Quota {
  return {
    namespace: row.namespace,
    own: { storedBytes: numberOf(row.own_bytes), openIngests: numberOf(row.own_ingests) },
    maxStoredBytes: Number(row.max_bytes),
    maxOpenIngests: Number(row.max_ingests),
    storedBytes: Number(row.bytes),
    openIngests: Number(row.ingests),
  };
}

function numberOf(value: bigint | null): number | undefined {
  return value === null ? undefined : Number(value);
}
