import { unavailable } from '@longshore/errors';
import { type Queryable, query } from '@longshore/postgres';

/** The names of a schema's partitions in the table `leaders`. */
export function termName(schema: string, partition: number): string {
  return `relay/${schema}/${partition}`;
}

/**
 * The terms in which this process leads partitions of one outbox. The advisory locks of a session say who leads; the terms
 * keep one whose session has ended unnoticed from writing after its successor has begun.
 */
export class PartitionTerms {
  readonly #schema: string;
  readonly #terms = new Map<number, bigint>();
  readonly #onOver: () => void;

  /** `onOver` hears when a term turns out to be over. */
  constructor(schema: string, onOver: () => void) {
    this.#schema = schema;
    this.#onOver = onOver;
  }

  add(terms: ReadonlyMap<number, bigint>): void {
    for (const [partition, term] of terms) this.#terms.set(partition, term);
  }

  /** In the transaction of each write, before it: throws Unavailable unless all the partitions are still led. */
  async check(tx: Queryable, partitions: readonly number[]): Promise<void> {
    const rows = await query(
      tx,
      `SELECT FROM leaders AS l JOIN unnest($1::text[], $2::bigint[]) AS t (name, term) ON l.name = t.name AND l.term = t.term
       FOR KEY SHARE OF l`,
      [
        partitions.map((partition) => termName(this.#schema, partition)),
        partitions.map((partition) => this.#terms.get(partition) ?? 0n),
      ],
    );
    if (rows.length === partitions.length) return;
    this.#onOver();
    throw unavailable(`relay of ${this.#schema}: another leads a partition now`);
  }
}
