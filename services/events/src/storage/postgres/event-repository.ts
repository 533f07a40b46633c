import { appendEvent, fromSqlError, type OutboxEvent, type Pool } from '@longshore/postgres';

/** Events published by clients: rows of this service's own outbox, like every other service's. */
export class EventRepository {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Durable when it returns; the relay does the rest. */
  async append(event: OutboxEvent): Promise<void> {
    try {
      await appendEvent(this.#pool, event);
    } catch (error) {
      throw fromSqlError(error);
    }
  }
}
