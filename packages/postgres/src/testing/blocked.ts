import { expect, vi } from 'vitest';
import type { Pool } from '../pool.ts';

/** Waits until some connection to the pool's database waits for a lock. */
export async function untilSomebodyWaits(pool: Pool): Promise<void> {
  await vi.waitFor(
    async () => {
      const { rows } = await pool.query(
        `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      expect(rows).toHaveLength(1);
    },
    { timeout: 4000 },
  );
}
