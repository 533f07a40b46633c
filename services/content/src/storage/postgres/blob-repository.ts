import { type Digest, isDigest } from '@longshore/oci';
import { type Pool, query, transaction } from '@longshore/postgres';
import type { StoredBytes } from '../../domain/blob-store.ts';
import type { LedTerm } from '../../domain/led-term.ts';

/** Bytes to remove: a blob's generation, or without a digest what an ingest has received. */
export interface Tombstone {
  readonly id: bigint;
  readonly digest: Digest | undefined;
  readonly generation: string;
}

/** Which bytes are stored and which may go, in the tables `blobs` and `tombstones`. */
export class BlobRepository {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /**
   * Looks at no more than `limit` blobs that were let go, buries those that no scope holds any more and no ingest links, and
   * answers at how many it looked.
   */
  releaseUnheld(limit: number, term: LedTerm): Promise<number> {
    return transaction(this.#pool, async (tx) => {
      await term.check(tx);
      const { rows } = await tx.query<{ digest: string }>(
        `DELETE FROM released_blobs WHERE id IN (
           SELECT id FROM released_blobs ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
         ) RETURNING digest`,
        [limit],
      );
      if (rows.length === 0) return 0;
      const digests = [rows.map(({ digest }) => digest)];
      await tx.query('SELECT FROM blobs WHERE digest = ANY ($1) ORDER BY digest FOR UPDATE', digests);
      // Under the lock nobody can begin to hold a blob, and a new statement sees those who did before it.
      await tx.query(
        `WITH gone AS (DELETE FROM blobs AS b WHERE digest = ANY ($1) AND ${UNHELD} RETURNING digest, generation)
         INSERT INTO tombstones (digest, generation) SELECT digest, generation FROM gone`,
        digests,
      );
      return rows.length;
    });
  }

  /** Tombstones that are due: those of ingests at once, those of blobs after the grace time. Of each the oldest first. */
  async dueTombstones(graceMs: number, limit: number, except: readonly Tombstone[]): Promise<Tombstone[]> {
    const rows = await query<{ id: bigint; digest: string | null; generation: string }>(
      this.#pool,
      `(SELECT id, digest, generation FROM tombstones
        WHERE digest IS NULL AND id <> ALL ($3) ORDER BY id LIMIT $2)
       UNION ALL
       (SELECT id, digest, generation FROM tombstones
        WHERE digest IS NOT NULL AND created_at < clock_timestamp() - $1 * interval '1 ms' AND id <> ALL ($3)
        ORDER BY created_at LIMIT $2)
       LIMIT $2`,
      [graceMs, limit, except.map(({ id }) => id)],
    );
    return rows.map(({ id, digest, generation }) => ({
      id,
      digest: digest !== null && isDigest(digest) ? digest : undefined,
      generation,
    }));
  }

  forget(tombstones: readonly Tombstone[], term: LedTerm): Promise<void> {
    return transaction(this.#pool, async (tx) => {
      await term.check(tx);
      await tx.query('DELETE FROM tombstones WHERE id = ANY ($1)', [tombstones.map(({ id }) => id)]);
    });
  }

  /** Those of the given bytes that no record knows: what a crash between two steps has left. */
  async unknown(bytes: readonly StoredBytes[]): Promise<StoredBytes[]> {
    const rows = await query<{ place: number }>(
      this.#pool,
      `SELECT s.place::integer AS place ${UNKNOWN}`,
      namesOf(bytes),
    );
    return rows.map(({ place }) => bytes[place - 1]!);
  }

  /** Buries those of the given bytes that no record knows. */
  buryUnknown(bytes: readonly StoredBytes[], term: LedTerm): Promise<void> {
    return transaction(this.#pool, async (tx) => {
      await term.check(tx);
      await tx.query(
        `INSERT INTO tombstones (digest, generation) SELECT s.digest, s.generation ${UNKNOWN}`,
        namesOf(bytes),
      );
    });
  }
}

function namesOf(bytes: readonly StoredBytes[]): unknown[] {
  return [bytes.map(({ digest }) => digest ?? null), bytes.map(({ generation }) => generation)];
}

const UNKNOWN = `FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS s (digest, generation, place)
  WHERE NOT EXISTS (SELECT FROM ingests AS i WHERE i.uid = s.generation)
    AND NOT EXISTS (SELECT FROM tombstones AS t WHERE t.generation = s.generation AND t.digest IS NOT DISTINCT FROM s.digest)
    AND NOT EXISTS (SELECT FROM blobs AS b WHERE b.digest = s.digest AND b.generation = s.generation)`;

const UNHELD = `NOT EXISTS (SELECT FROM contents AS c WHERE c.digest = b.digest)
  AND NOT EXISTS (SELECT FROM ingests AS i WHERE i.linked_digest = b.digest)`;
