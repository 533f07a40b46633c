import type { Digest } from '@longshore/oci';
import { type Pool, query, transaction } from '@longshore/postgres';
import type { StoredBlob } from '../../domain/blob-fault.ts';
import type { HealthRecords, Quarantine } from '../../domain/blob-health.ts';
import type { LedTerm } from '../../domain/led-term.ts';
import type { DueBlobs, ScrubOptions } from '../../domain/scrubber.ts';

interface Row {
  digest: Digest;
  generation: string;
  size: bigint;
}

/** A quarantined blob, with the scopes that hold it. */
export interface CorruptBlob extends StoredBlob, Quarantine {
  readonly holders: readonly { namespace: string; node: string }[];
}

/** How the store is doing as a whole. */
export interface StoreHealth {
  readonly corrupt: number;
  /** Since the blob that was not read whole for longest was; 0 without blobs. */
  readonly oldestSeconds: number;
}

/** Which stored bytes are right, in the table `blobs`, by the functions of migrations/0006_verification.sql. */
export class HealthRepository implements HealthRecords, DueBlobs {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async due(
    { roundMs, recheckMs }: ScrubOptions,
    except: readonly Digest[],
    limit: number,
  ): Promise<StoredBlob[]> {
    const rows = await query<Row>(
      this.#pool,
      `(SELECT digest, generation, size FROM blobs
        WHERE corrupt_at IS NOT NULL AND rechecked_at < clock_timestamp() - $2 * interval '1 ms' AND digest <> ALL ($3)
        ORDER BY rechecked_at LIMIT $4)
       UNION ALL
       (SELECT digest, generation, size FROM blobs
        WHERE coalesce(verified_at, created_at) < clock_timestamp() - $1 * interval '1 ms' AND corrupt_at IS NULL
          AND digest <> ALL ($3)
        ORDER BY coalesce(verified_at, created_at) LIMIT $4)`,
      [roundMs, recheckMs, except, limit],
    );
    return rows.map(blobFromRow);
  }

  /** `undefined` for a digest that is not stored. */
  async find(digest: Digest): Promise<StoredBlob | undefined> {
    const rows = await query<Row>(
      this.#pool,
      'SELECT digest, generation, size FROM blobs WHERE digest = $1',
      [digest],
    );
    return rows[0] && blobFromRow(rows[0]);
  }

  quarantine(
    { digest, generation }: StoredBlob,
    reason: string,
    term?: LedTerm,
  ): Promise<boolean | undefined> {
    return this.#decide('SELECT quarantine_blob($1, $2, $3) AS changed', [digest, generation, reason], term);
  }

  async confirm({ digest, generation }: StoredBlob, term?: LedTerm): Promise<boolean> {
    const changed = await this.#decide('SELECT confirm_blob($1, $2) AS changed', [digest, generation], term);
    return changed ?? false;
  }

  /** At most `limit` quarantined blobs behind the digest `after`, in byte order of the digests. */
  async corrupt(after: string, limit: number): Promise<CorruptBlob[]> {
    const rows = await query<
      Row & { corrupt_at: Date; corrupt_reason: string; holders: CorruptBlob['holders'] }
    >(
      this.#pool,
      `SELECT b.digest, b.generation, b.size, b.corrupt_at, b.corrupt_reason, coalesce((
         SELECT json_agg(json_build_object('namespace', c.namespace, 'node', c.node) ORDER BY c.namespace, c.node)
         FROM contents AS c WHERE c.digest = b.digest), '[]') AS holders
       FROM blobs AS b WHERE b.corrupt_at IS NOT NULL AND b.digest COLLATE "C" > $1
       ORDER BY b.digest COLLATE "C" LIMIT $2`,
      [after, limit],
    );
    return rows.map((row) => ({
      ...blobFromRow(row),
      since: row.corrupt_at,
      reason: row.corrupt_reason,
      holders: row.holders,
    }));
  }

  async health(): Promise<StoreHealth> {
    const rows = await query<{ corrupt: bigint; oldest: number | null }>(
      this.#pool,
      `SELECT (SELECT count(*) FROM blobs WHERE corrupt_at IS NOT NULL) AS corrupt,
         extract(epoch FROM clock_timestamp() - (SELECT min(coalesce(verified_at, created_at)) FROM blobs))::float8 AS oldest`,
    );
    const { corrupt = 0n, oldest } = rows[0] ?? {};
    return { corrupt: Number(corrupt), oldestSeconds: oldest ?? 0 };
  }

  #decide(sql: string, values: unknown[], term: LedTerm | undefined): Promise<boolean | undefined> {
    return transaction(this.#pool, async (tx) => {
      await term?.check(tx);
      const { rows } = await tx.query<{ changed: boolean | null }>(sql, values);
      return rows[0]?.changed ?? undefined;
    });
  }
}

function blobFromRow({ digest, generation, size }: Row): StoredBlob {
  return { digest, generation, sizeBytes: Number(size) };
}
