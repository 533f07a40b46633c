import type { Logger } from '@longshore/kit';
import { findStoredIds, type NatsLink, storedIdAt, streamBounds, subjectFilter } from '@longshore/messaging';
import type { EventMetrics } from '../metrics.ts';
import type { OutboxRepository, RelayedRow } from '../storage/postgres/outbox-repository.ts';

type Connection = NonNullable<NatsLink['connection']>;

/** The clocks of Postgres and NATS may differ this much before a row could be stored twice, under the same id. */
const CLOCK_SKEW_MS = 5 * 60_000;

/** Brings an outbox's marks into agreement with what the stream really holds. */
export class StreamRecovery {
  readonly #schema: string;
  readonly #outbox: OutboxRepository;
  readonly #metrics: EventMetrics;
  readonly #log: Logger;

  constructor(schema: string, outbox: OutboxRepository, metrics: EventMetrics, log: Logger) {
    this.#schema = schema;
    this.#outbox = outbox;
    this.#metrics = metrics;
    this.#log = log;
  }

  /**
   * Marks waiting rows that are stored already: a former leader, or a connection that broke, did not see the
   * acknowledgement. The stream itself forgets ids after minutes, so it is asked what it holds of each source since
   * its oldest waiting row. The last message of a subject alone would not tell: with several on their way, a later
   * one may be stored and an earlier one not.
   */
  async adoptStored(connection: Connection, partitions: number[]): Promise<void> {
    for (const { namespace, node, oldest } of await this.#outbox.waitingSources(partitions)) {
      const since = new Date(oldest.getTime() - CLOCK_SKEW_MS);
      const stored = await findStoredIds(connection, subjectFilter({ namespace, node }), since);
      if (stored.size === 0) continue;
      const adopted = await this.#outbox.markStored(stored, partitions);
      this.#metrics.repeated.add(adopted, this.#schema);
    }
  }

  /**
   * Lets rows wait again that the stream has lost: it was restored, or its server came back without what it had
   * acknowledged. Compares ids, not only sequences, since others may have published meanwhile. Only of `partitions`: those
   * of others are compared by others.
   */
  async rewind(connection: Connection, partitions: number[]): Promise<void> {
    const last = await this.#outbox.lastRelayed(partitions);
    if (!last || (await isStored(connection, last))) return;
    const { first } = await streamBounds(connection);
    if (last.streamSeq < first) return; // too old for the stream to keep
    const lost = await this.#firstLost(connection, partitions, first - 1n, last.streamSeq);
    const rows = await this.#outbox.unmarkFrom(lost, partitions);
    this.#metrics.rewound.add(rows, this.#schema);
    this.#log.warn(
      { schema: this.#schema, stream_seq: String(lost), rows },
      'the stream lost events: publishing again',
    );
  }

  /** Binary search: what is stored at `kept` or before is intact, the row at `lost` is not. */
  async #firstLost(
    connection: Connection,
    partitions: number[],
    kept: bigint,
    lost: bigint,
  ): Promise<bigint> {
    while (kept + 1n < lost) {
      const middle = (kept + lost) / 2n;
      const row = await this.#outbox.lastRelayed(partitions, middle);
      if (!row || row.streamSeq <= kept || (await isStored(connection, row))) kept = middle;
      else lost = row.streamSeq;
    }
    return lost;
  }
}

async function isStored(connection: Connection, row: RelayedRow): Promise<boolean> {
  return (await storedIdAt(connection, row.streamSeq)) === row.id;
}
