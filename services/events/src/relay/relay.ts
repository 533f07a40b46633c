import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, type RetryPolicy, retryDelayMs } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { NatsLink } from '@longshore/messaging';
import type { Pool } from '@longshore/postgres';
import type { EventMetrics } from '../metrics.ts';
import { LeaderSession } from '../storage/postgres/leader-session.ts';
import { OutboxRepository } from '../storage/postgres/outbox-repository.ts';
import { PartitionTerms } from '../storage/postgres/partition-terms.ts';
import { SchemaRelay } from './schema-relay.ts';

export interface RelayOptions {
  pool: Pool;
  link: NatsLink;
  schemas: readonly string[];
  pollMs: number;
  keepMs: number;
  metrics: EventMetrics;
  log: Logger;
}

const RETRY: RetryPolicy = { initialDelayMs: 100, maxDelayMs: 2_000, attempts: Number.POSITIVE_INFINITY };

/**
 * Carries the rows of every schema's outbox into the stream. Any number of relays may run: each partition of an
 * outbox has one leader among them, and another one takes it over when its session ends.
 */
export class Relay implements AsyncDisposable {
  readonly #options: RelayOptions;
  readonly #closing = new AbortController();
  readonly #done: Promise<void>;
  #schemas = new Map<string, SchemaRelay>();

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  /** Something has changed, rows or the connection: look now. */
  ring(schema?: string): void {
    for (const [name, relay] of this.#schemas) if (schema === undefined || schema === name) relay.ring();
  }

  /** Waits for the answers to what is on its way, then gives up leadership. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 0; !signal.aborted; ) {
      try {
        await this.#lead();
        failures = 0;
      } catch (error) {
        failures++;
        this.#options.log.warn({ failures, error: messageOf(error) }, 'relay has no session, trying again');
      }
      const delayMs = retryDelayMs(RETRY, Math.max(failures, 1));
      await delay(delayMs, undefined, { signal }).catch(() => undefined); // closing: the loop ends
    }
  }

  /** For as long as one session lasts. */
  async #lead(): Promise<void> {
    const { pool, schemas, ...options } = this.#options;
    const session = await LeaderSession.open(pool, (schema) => this.ring(schema));
    try {
      const signal = AbortSignal.any([this.#closing.signal, session.lost]);
      this.#schemas = new Map(
        schemas.map((schema) => {
          const terms = new PartitionTerms(schema, () => session.end());
          const outbox = new OutboxRepository(pool, schema, terms);
          return [schema, new SchemaRelay({ ...options, schema, outbox, session, terms })];
        }),
      );
      await Promise.all([...this.#schemas.values()].map((relay) => relay.run(signal)));
    } finally {
      session.close();
    }
  }
}
