import type { Pool } from './pool.ts';
import { query } from './transaction.ts';

export interface Holder {
  holder: string;
  ttlMs: number;
  /** What the names of holders begin with whose terms are over, whatever the clock says. */
  predecessors?: string | undefined;
}

/** The table `leaders` of a schema. Its times are those of the database's clock. */
export class LeaderRepository {
  readonly #pool: Pool;
  readonly #holder: string;
  readonly #ttlMs: number;
  /** Nothing begins with NULL. */
  readonly #predecessors: string | null;

  constructor(pool: Pool, { holder, ttlMs, predecessors }: Holder) {
    this.#pool = pool;
    this.#holder = holder;
    this.#ttlMs = ttlMs;
    this.#predecessors = predecessors ?? null;
  }

  /** Those of the names that nobody leads. */
  async free(names: readonly string[]): Promise<string[]> {
    const rows = await query<{ name: string }>(
      this.#pool,
      `SELECT name FROM unnest($1::text[]) AS name
       WHERE NOT EXISTS (SELECT FROM leaders AS l WHERE l.name = name.name AND l.expires_at > clock_timestamp()
         AND starts_with(l.holder, $2) IS NOT TRUE)`,
      [names, this.#predecessors],
    );
    return rows.map(({ name }) => name);
  }

  /** The number of the new term; `undefined` when another was faster. Waits for what the last leader still writes. */
  async take(name: string): Promise<bigint | undefined> {
    const rows = await query<{ term: bigint }>(
      this.#pool,
      `INSERT INTO leaders AS l (name, term, holder, expires_at)
       VALUES ($1, 1, $2, clock_timestamp() + $3 * interval '1 ms')
       ON CONFLICT (name) DO UPDATE SET term = l.term + 1, holder = excluded.holder,
         expires_at = clock_timestamp() + $3 * interval '1 ms'
       WHERE l.expires_at <= clock_timestamp() OR starts_with(l.holder, $4) RETURNING term`,
      [name, this.#holder, this.#ttlMs, this.#predecessors],
    );
    return rows[0]?.term;
  }

  /** Answers the names of the terms that go on; a term that has expired cannot be renewed. */
  async renew(terms: readonly { name: string; number: bigint }[]): Promise<Set<string>> {
    const rows = await query<{ name: string }>(
      this.#pool,
      `UPDATE leaders AS l SET expires_at = clock_timestamp() + $3 * interval '1 ms'
       FROM unnest($1::text[], $2::bigint[]) AS t (name, term)
       WHERE l.name = t.name AND l.term = t.term AND l.expires_at > clock_timestamp() RETURNING l.name`,
      [terms.map(({ name }) => name), terms.map(({ number }) => number), this.#ttlMs],
    );
    return new Set(rows.map(({ name }) => name));
  }

  /** Others can take over at once. */
  async release({ name, number }: { name: string; number: bigint }): Promise<void> {
    await query(
      this.#pool,
      'UPDATE leaders SET expires_at = clock_timestamp() WHERE name = $1 AND term = $2 AND expires_at > clock_timestamp()',
      [name, number],
    );
  }
}
