import {
  findStoredIds,
  type LifecycleEvent,
  type NatsLink,
  publishEvent,
  subjectFilter,
} from '@longshore/messaging';
import type { EventMetrics } from '../metrics.ts';

/** Nodes' clocks and NATS's may differ this much before a repeated event could be stored twice. */
const CLOCK_SKEW_MS = 30_000;

const NONE: ReadonlyMap<string, bigint> = new Map();

/** Puts what nodes recorded into the stream. */
export class SpoolIntake {
  readonly #link: NatsLink;
  readonly #metrics: EventMetrics;
  readonly #dedupWindowMs: number;

  /** `dedupWindowMs` is that of the stream. */
  constructor(link: NatsLink, metrics: EventMetrics, dedupWindowMs: number) {
    this.#link = link;
    this.#metrics = metrics;
    this.#dedupWindowMs = dedupWindowMs;
  }

  /**
   * Stores a node's events one after the other and answers when the last one is durable. One at a time: were two on
   * their way and the first got lost, the second would be ahead of it for ever. On failure some may be stored;
   * sending all again is safe, after any time. Throws Unavailable.
   */
  async append(node: string, events: LifecycleEvent[], signal: AbortSignal): Promise<void> {
    const connection = await this.#link.connectedSoon(signal);
    const old = events.filter((event) => this.#mayBeForgotten(event));
    const stored =
      old.length > 0 ? await findStoredIds(connection, subjectFilter({ node }), since(old)) : NONE;
    for (const event of events) {
      signal.throwIfAborted();
      if (stored.has(event.id)) continue;
      const { isDuplicate } = await publishEvent(connection, event);
      this.#metrics.spooled.add(isDuplicate ? 0 : 1);
    }
  }

  /** An event is not sent before it happened, so the server knows the ids of all that happened within its window. */
  #mayBeForgotten(event: LifecycleEvent): boolean {
    return Date.now() - timeMs(event) > this.#dedupWindowMs - CLOCK_SKEW_MS;
  }
}

function since(events: LifecycleEvent[]): Date {
  return new Date(Math.min(...events.map(timeMs)) - CLOCK_SKEW_MS);
}

function timeMs({ time }: LifecycleEvent): number {
  return Number(time.seconds) * 1000 + time.nanos / 1e6;
}
