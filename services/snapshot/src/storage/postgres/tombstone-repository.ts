import { type Pool, query } from '@longshore/postgres';

/** A directory on a node that no record needs any more. */
export interface Tombstone {
  generation: string;
  snapshotter: string;
}

/** What was removed and is not yet known to be gone from its node's disk, in the table `tombstones`. */
export class TombstoneRepository {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** The oldest first, of all namespaces. */
  list(node: string, limit: number): Promise<Tombstone[]> {
    return query<Tombstone>(
      this.#pool,
      'SELECT generation, snapshotter FROM tombstones WHERE node = $1 ORDER BY created_at LIMIT $2',
      [node, limit],
    );
  }

  /** Forgets them; those that are unknown are forgotten already. */
  async confirm(node: string, generations: readonly string[]): Promise<void> {
    await query(this.#pool, 'DELETE FROM tombstones WHERE node = $1 AND generation = ANY($2)', [
      node,
      generations,
    ]);
  }

  /**
   * Every generation that a node's disk may hold: of snapshots and of tombstones. One statement, so that a snapshot
   * which turns into a tombstone meanwhile is not missed.
   */
  async generations(node: string, snapshotter: string): Promise<string[]> {
    const rows = await query<{ generation: string }>(
      this.#pool,
      `SELECT generation FROM snapshots WHERE node = $1 AND snapshotter = $2
       UNION ALL SELECT generation FROM tombstones WHERE node = $1 AND snapshotter = $2`,
      [node, snapshotter],
    );
    return rows.map((row) => row.generation);
  }
}
