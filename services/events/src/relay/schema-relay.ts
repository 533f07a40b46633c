import { messageOf, type RetryPolicy, retryDelayMs } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { type NatsLink, publishEvent } from '@longshore/messaging';
import type { EventMetrics } from '../metrics.ts';
import type { LeaderSession } from '../storage/postgres/leader-session.ts';
import {
  type OutboxRepository,
  type OutboxRow,
  PRUNING_PARTITION,
} from '../storage/postgres/outbox-repository.ts';
import type { PartitionTerms } from '../storage/postgres/partition-terms.ts';
import { eventOfRow } from './outbox-event.ts';
import { Partitions } from './partitions.ts';
import { type PublishResult, publishRows, safeRows } from './publish-rows.ts';
import { StreamRecovery } from './stream-recovery.ts';
import { Wakeup } from './wakeup.ts';

type Connection = NonNullable<NatsLink['connection']>;

export interface SchemaRelayOptions {
  schema: string;
  outbox: OutboxRepository;
  session: LeaderSession;
  terms: PartitionTerms;
  link: NatsLink;
  metrics: EventMetrics;
  log: Logger;
  /** How often to look when nothing rings. */
  pollMs: number;
  /** How long relayed rows are kept. */
  keepMs: number;
}

/** Rows on their way at once; at 1 KiB each, a quarter of a MiB. */
const BATCH_ROWS = 256;
/** Rows deleted by one statement, so that it stays far below the statement timeout. */
const PRUNE_ROWS = 5_000;
/** How often leadership, the stream's state, lag and pruning are seen to. */
const HOUSEKEEPING_MS = 2_000;
const RECHECK_STREAM_MS = 30_000;
/** An unsafe row becomes safe when some other transaction ends, of which nobody tells. */
const UNSAFE_RETRY_MS = 10;
const RETRY: RetryPolicy = { initialDelayMs: 100, maxDelayMs: 2_000, attempts: Number.POSITIVE_INFINITY };

/** Relays one schema's outbox: the partitions that this process leads. Lives as long as its leader session. */
export class SchemaRelay {
  readonly #options: SchemaRelayOptions;
  readonly #recovery: StreamRecovery;
  readonly #wakeup = new Wakeup();
  readonly #partitions = new Partitions();
  #connection: Connection | undefined;
  #checkedStreamAt = Number.NEGATIVE_INFINITY;
  #housekeptAt = Number.NEGATIVE_INFINITY;

  constructor(options: SchemaRelayOptions) {
    const { schema, outbox, metrics, log } = options;
    this.#options = options;
    this.#recovery = new StreamRecovery(schema, outbox, metrics, log);
  }

  /** There are new rows. */
  ring(): void {
    this.#wakeup.ring();
  }

  /** Runs until the signal aborts, through every failure of NATS and Postgres. */
  async run(signal: AbortSignal): Promise<void> {
    const { schema, metrics, log } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      try {
        const waitMs = await this.#round(signal);
        failures = 0;
        await this.#wakeup.wait(waitMs, signal);
      } catch (error) {
        if (signal.aborted) break;
        failures++;
        metrics.failed.add(1, schema);
        log.warn({ schema, failures, error: messageOf(error) }, 'relay failed, trying again');
        await this.#wakeup.wait(retryDelayMs(RETRY, failures), signal);
      }
    }
    metrics.partitions.set(0, schema);
  }

  /** One look at the outbox. Answers how long to wait before the next, in milliseconds. */
  async #round(signal: AbortSignal): Promise<number> {
    const { link, pollMs } = this.#options;
    if (performance.now() - this.#housekeptAt > HOUSEKEEPING_MS) await this.#housekeep();
    const { connection } = link;
    if (!connection || this.#partitions.led.length === 0) return pollMs;
    await this.#prepare(connection);
    return this.#publish(connection, signal);
  }

  async #housekeep(): Promise<void> {
    const { schema, outbox, metrics, keepMs } = this.#options;
    if (!(await outbox.exists())) return;
    await this.#lead();
    const { led } = this.#partitions;
    metrics.partitions.set(led.length, schema);
    const lag = await outbox.lag();
    metrics.lagRows.set(lag.rows, schema);
    metrics.lagSeconds.set(lag.oldestSeconds, schema);
    if (led.includes(PRUNING_PARTITION)) metrics.pruned.add(await outbox.prune(keepMs, PRUNE_ROWS), schema);
    this.#housekeptAt = performance.now();
  }

  async #lead(): Promise<void> {
    const { schema, session, terms } = this.#options;
    const { free } = this.#partitions;
    if (free.length === 0) return;
    const taken = await session.lead(schema, free);
    if (taken.size === 0) return;
    terms.add(taken);
    this.#partitions.lead([...taken.keys()]);
    // The leader before may not have noticed what the stream has lost.
    this.#checkedStreamAt = Number.NEGATIVE_INFINITY;
  }

  /** Before the first publish on a connection, or in a partition: find out what the stream holds. */
  async #prepare(connection: Connection): Promise<void> {
    const isNew = connection !== this.#connection;
    if (isNew) this.#partitions.doubtAll();
    if (isNew || performance.now() - this.#checkedStreamAt > RECHECK_STREAM_MS) {
      await this.#recovery.rewind(connection, this.#partitions.led);
      this.#checkedStreamAt = performance.now();
      this.#connection = connection;
    }
    const { unsure } = this.#partitions;
    if (unsure.length === 0) return;
    await this.#recovery.adoptStored(connection, unsure);
    this.#partitions.settle(unsure);
  }

  async #publish(connection: Connection, signal: AbortSignal): Promise<number> {
    const { outbox, pollMs } = this.#options;
    const waiting = await outbox.waiting(this.#partitions.ready, BATCH_ROWS);
    const rows = safeRows(waiting);
    const publish = (row: OutboxRow) => publishEvent(connection, eventOfRow(row));
    const result = await publishRows(rows, publish, signal);
    if (result.published.length > 0) await outbox.markRelayed(result.published, this.#partitions.led);
    this.#account(rows, result);
    if (rows.length < waiting.length) return UNSAFE_RETRY_MS;
    return waiting.length === BATCH_ROWS ? 0 : Math.min(pollMs, this.#partitions.nextRetryMs);
  }

  #account(rows: OutboxRow[], { published, failed }: PublishResult): void {
    const { schema, metrics, log } = this.#options;
    const repeated = published.filter((row) => row.isDuplicate).length;
    metrics.repeated.add(repeated, schema);
    metrics.relayed.add(published.length - repeated, schema);
    metrics.failed.add(failed.size, schema);
    for (const partition of new Set(rows.map((row) => row.partition))) {
      if (failed.has(partition)) this.#partitions.stop(partition);
      else this.#partitions.succeed(partition);
    }
    for (const [partition, error] of failed) {
      log.warn({ schema, partition, error: messageOf(error) }, 'partition stopped for a while');
    }
  }
}
