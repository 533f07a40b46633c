import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, type RetryPolicy, retryDelayMs } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { NatsLink } from '@longshore/messaging';
import { type Instance, Leadership, type Pool } from '@longshore/postgres';
import type { EventMetrics } from '../metrics.ts';
import { OutboxNews } from '../storage/postgres/outbox-news.ts';
import { PARTITIONS } from './partitions.ts';
import { SchemaRelay } from './schema-relay.ts';

export interface RelayOptions {
  pool: Pool;
  link: NatsLink;
  schemas: readonly string[];
  /** This process; its predecessors' partitions are taken over at once. */
  instance: Instance;
  /** How long a leader that died without a word keeps its partitions. */
  leaderTtlMs: number;
  pollMs: number;
  keepMs: number;
  metrics: EventMetrics;
  log: Logger;
}

const RETRY: RetryPolicy = { initialDelayMs: 100, maxDelayMs: 2_000, attempts: Number.POSITIVE_INFINITY };
/** With Postgres away each partition has the same to say, again and again. */
const COMPLAIN_EVERY_MS = 2_000;

/** The name of a partition in the table `leaders`. */
export function leaderName(schema: string, partition: number): string {
  return `outbox/${schema}/${partition}`;
}

/**
 * Carries the rows of every schema's outbox into the stream. Any number of relays may run: each partition of an
 * outbox has one leader among them, and another one takes it over when its term is over.
 */
export class Relay implements AsyncDisposable {
  readonly #options: RelayOptions;
  readonly #closing = new AbortController();
  readonly #schemas: ReadonlyMap<string, SchemaRelay>;
  readonly #leadership: Leadership;
  #done: Promise<unknown> = Promise.resolve();
  #complainedAt = Number.NEGATIVE_INFINITY;

  constructor(options: RelayOptions) {
    this.#options = options;
    const { pool, schemas, instance, leaderTtlMs } = options;
    this.#schemas = new Map(schemas.map((schema) => [schema, new SchemaRelay({ ...options, schema })]));
    this.#leadership = new Leadership(pool, {
      holder: instance.name,
      predecessors: instance.predecessors,
      ttlMs: leaderTtlMs,
      onError: (error) => this.#complain(error),
    });
  }

  /** To be called once, when this process has its address: only then its predecessors are known to be gone. */
  start(): void {
    this.#done = this.#run();
  }

  /** Something has changed, rows or the connection: look now. */
  ring(schema?: string): void {
    for (const [name, relay] of this.#schemas) if (schema === undefined || schema === name) relay.ring();
  }

  /** Waits for the answers to what is on its way, then lets others lead at once. */
  async close(): Promise<void> {
    await this.#leadership.close();
    this.#closing.abort();
    await this.#done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #run(): Promise<unknown> {
    const { signal } = this.#closing;
    for (const [schema, relay] of this.#schemas) {
      for (const partition of PARTITIONS) {
        void this.#leadership.runWhileLeading(leaderName(schema, partition), (term) =>
          relay.lead(partition, term),
        );
      }
    }
    return Promise.all([this.#listen(), ...Array.from(this.#schemas.values(), (relay) => relay.run(signal))]);
  }

  /** Without news of rows the relay looks by itself, only later. */
  async #listen(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 0; !signal.aborted; ) {
      try {
        using news = await OutboxNews.open(this.#options.pool, (schema) => this.ring(schema));
        failures = 0;
        this.ring();
        const over = AbortSignal.any([signal, news.lost]);
        if (!over.aborted) await once(over, 'abort');
      } catch (error) {
        failures++;
        this.#options.log.warn({ failures, error: messageOf(error) }, 'relay hears of no rows, trying again');
      }
      const delayMs = retryDelayMs(RETRY, Math.max(failures, 1));
      await delay(delayMs, undefined, { signal }).catch(() => undefined); // closing: the loop ends
    }
  }

  #complain(error: unknown): void {
    if (performance.now() - this.#complainedAt < COMPLAIN_EVERY_MS) return;
    this.#complainedAt = performance.now();
    this.#options.log.warn({ error: messageOf(error) }, 'relay cannot tell who leads, trying again');
  }
}
