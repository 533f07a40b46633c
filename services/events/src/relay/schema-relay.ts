import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, type RetryPolicy, retryDelayMs } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { type NatsLink, publishEvent } from '@longshore/messaging';
import type { Pool, Term } from '@longshore/postgres';
import type { EventMetrics } from '../metrics.ts';
import {
  type OutboxLag,
  OutboxRepository,
  type OutboxRow,
  PRUNING_PARTITION,
} from '../storage/postgres/outbox-repository.ts';
import { eventOfRow } from './outbox-event.ts';
import { PARTITIONS, Partitions } from './partitions.ts';
import { type PublishedRow, type PublishResult, publishRows, safeRows } from './publish-rows.ts';
import { StreamRecovery } from './stream-recovery.ts';
import { Wakeup } from './wakeup.ts';

type Connection = NonNullable<NatsLink['connection']>;

export interface SchemaRelayOptions {
  pool: Pool;
  schema: string;
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
/** How often lag and pruning are seen to, at most. */
const HOUSEKEEPING_MS = 2_000;
/** Rows are kept for much longer than they could be late by this. */
const PRUNE_MS = 60_000;
/** A row that comes alone goes at once; others that follow this soon go together, in one round. */
const GATHER_MS = 200;
const RECHECK_STREAM_MS = 30_000;
/** An unsafe row becomes safe when some other transaction ends, of which nobody tells. */
const UNSAFE_RETRY_MS = 10;
const NO_LAG: OutboxLag = { rows: 0, oldestSeconds: 0 };
const RETRY: RetryPolicy = { initialDelayMs: 100, maxDelayMs: 2_000, attempts: Number.POSITIVE_INFINITY };

/** Relays one schema's outbox: the partitions that this process leads. */
export class SchemaRelay {
  readonly #options: SchemaRelayOptions;
  readonly #outbox: OutboxRepository;
  readonly #recovery: StreamRecovery;
  readonly #wakeup = new Wakeup();
  readonly #partitions = new Partitions();
  /** The one under way, or the last. */
  #round: Promise<number> = Promise.resolve(0);
  #isMigrated = false;
  #connection: Connection | undefined;
  #checkedStreamAt = Number.NEGATIVE_INFINITY;
  #housekeptAt = Number.NEGATIVE_INFINITY;
  #prunedAt = Number.NEGATIVE_INFINITY;
  #publishedAt = Number.NEGATIVE_INFINITY;
  /** No row of any partition was left by the last round. */
  #isDrained = false;

  constructor(options: SchemaRelayOptions) {
    const { pool, schema, metrics, log } = options;
    this.#options = options;
    this.#outbox = new OutboxRepository(pool, schema, this.#partitions);
    this.#recovery = new StreamRecovery(schema, this.#outbox, metrics, log);
  }

  /** There are new rows. */
  ring(): void {
    this.#wakeup.ring();
  }

  /** Relays a partition's rows too, until the term is over and nothing of it is on its way. */
  async lead(partition: number, term: Term): Promise<void> {
    const { schema, metrics } = this.#options;
    this.#partitions.lead(partition, term);
    metrics.partitions.set(this.#partitions.led.length, schema);
    this.ring();
    if (!term.signal.aborted) await once(term.signal, 'abort');
    await this.#round.catch(() => undefined);
    this.#partitions.leave(partition);
    metrics.partitions.set(this.#partitions.led.length, schema);
  }

  /** Runs until the signal aborts, through every failure of NATS and Postgres. */
  async run(signal: AbortSignal): Promise<void> {
    const { schema, metrics, log } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      try {
        this.#round = this.#look();
        const waitMs = await this.#round;
        failures = 0;
        if (waitMs === 0) continue;
        await this.#wakeup.wait(waitMs, signal);
        await this.#gather(signal);
      } catch (error) {
        failures++;
        metrics.failed.add(1, schema);
        log.warn({ schema, failures, error: messageOf(error) }, 'relay failed, trying again');
        await this.#wakeup.wait(retryDelayMs(RETRY, failures), signal);
      }
    }
  }

  async #gather(signal: AbortSignal): Promise<void> {
    const restMs = this.#publishedAt + GATHER_MS - performance.now();
    if (restMs > 0) await delay(restMs, undefined, { signal }).catch(() => undefined); // closing: the loop ends
  }

  /** Answers how long to wait before the next look, in milliseconds. */
  async #look(): Promise<number> {
    const { link, pollMs } = this.#options;
    this.#isMigrated ||= await this.#outbox.exists();
    if (!this.#isMigrated) return pollMs;
    if (performance.now() - this.#housekeptAt > HOUSEKEEPING_MS) await this.#housekeep();
    this.#isDrained = false;
    const { connection } = link;
    if (!connection || this.#partitions.led.length === 0) return pollMs;
    await this.#prepare(connection);
    return this.#publish(connection);
  }

  async #housekeep(): Promise<void> {
    const { schema, metrics } = this.#options;
    const lag = this.#isDrained ? NO_LAG : await this.#outbox.lag();
    metrics.lagRows.set(lag.rows, schema);
    metrics.lagSeconds.set(lag.oldestSeconds, schema);
    await this.#prune();
    this.#housekeptAt = performance.now();
  }

  async #prune(): Promise<void> {
    const { schema, metrics, keepMs } = this.#options;
    const isDue = performance.now() - this.#prunedAt > Math.min(PRUNE_MS, keepMs);
    if (!isDue || !this.#partitions.isLed(PRUNING_PARTITION)) return;
    const pruned = await this.#outbox.prune(keepMs, PRUNE_ROWS);
    metrics.pruned.add(pruned, schema);
    if (pruned < PRUNE_ROWS) this.#prunedAt = performance.now();
  }

  /** Before the first publish on a connection, or in a partition: find out what the stream holds. */
  async #prepare(connection: Connection): Promise<void> {
    if (connection !== this.#connection) this.#partitions.doubtAll();
    this.#connection = connection;
    const { led, unsure } = this.#partitions;
    const isDue = performance.now() - this.#checkedStreamAt > RECHECK_STREAM_MS;
    // Also in a partition just taken over: the leader before may not have noticed what the stream has lost.
    const doubted = isDue ? led : unsure;
    if (doubted.length > 0) await this.#recovery.rewind(connection, doubted);
    if (isDue) this.#checkedStreamAt = performance.now();
    if (unsure.length === 0) return;
    await this.#recovery.adoptStored(connection, unsure);
    this.#partitions.settle(unsure);
  }

  async #publish(connection: Connection): Promise<number> {
    const { ready } = this.#partitions;
    const waiting = await this.#outbox.waiting(ready, BATCH_ROWS);
    const rows = safeRows(waiting);
    const publish = (row: OutboxRow) => publishEvent(connection, eventOfRow(row));
    const result = await publishRows(rows, publish, (partition) => this.#partitions.isLed(partition));
    if (result.published.length > 0) await this.#mark(result.published);
    const isAll = waiting.length < BATCH_ROWS && result.published.length === waiting.length;
    this.#isDrained = isAll && ready.length === PARTITIONS.length;
    this.#account(rows, result);
    if (rows.length > 0) this.#publishedAt = performance.now();
    if (rows.length < waiting.length) return UNSAFE_RETRY_MS;
    return waiting.length === BATCH_ROWS ? 0 : Math.min(this.#options.pollMs, this.#partitions.nextRetryMs);
  }

  async #mark(published: PublishedRow[]): Promise<void> {
    const partitions = [...new Set(published.map(({ partition }) => partition))];
    try {
      await this.#outbox.markRelayed(published, partitions);
    } catch (error) {
      this.#partitions.doubt(partitions);
      throw error;
    }
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
