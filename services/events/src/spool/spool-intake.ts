import {
  findStoredIds,
  type LifecycleEvent,
  type NatsLink,
  publishEvent,
  storedIdAt,
  streamBounds,
  subjectFilter,
} from '@longshore/messaging';
import type { EventMetrics } from '../metrics.ts';

/** The clocks of this service and of NATS may differ this much before a repeated event could be stored twice. */
const CLOCK_SKEW_MS = 30_000;

type Connection = Awaited<ReturnType<NatsLink['connectedSoon']>>;

const NONE: ReadonlyMap<string, bigint> = new Map();

/** An event as its node sends it. */
export interface SpooledEvent {
  event: LifecycleEvent;
  /** Since it was recorded, by the node's clock at both ends: what that clock says now does not matter. */
  ageMs: number;
}

/** Where an event was stored. */
export interface StoredPlace {
  id: string;
  sequence: bigint;
}

/** The sequences of events that were stored, or, when the stream has lost what was before them, its oldest sequence. */
export type Appended = { sequences: bigint[] } | { lostFrom: bigint };

/** Puts what nodes recorded into the stream. */
export class SpoolIntake {
  readonly #link: NatsLink;
  readonly #metrics: EventMetrics;
  readonly #dedupWindowMs: number;
  /** Nodes whose last event was seen in the stream: what a server has on one connection, it keeps. */
  readonly #intact = new WeakMap<Connection, Set<string>>();

  /** `dedupWindowMs` is that of the stream. */
  constructor(link: NatsLink, metrics: EventMetrics, dedupWindowMs: number) {
    this.#link = link;
    this.#metrics = metrics;
    this.#dedupWindowMs = dedupWindowMs;
  }

  /**
   * Stores a node's events one after the other and answers when the last one is durable. One at a time: were two on
   * their way and the first got lost, the second would be ahead of it for ever. On failure some may be stored;
   * sending all again is safe, after any time. Stores nothing when `after`, the event before them, has been lost: it comes
   * first. Throws Unavailable.
   */
  async append(
    node: string,
    events: SpooledEvent[],
    after: StoredPlace | undefined,
    signal: AbortSignal,
  ): Promise<Appended> {
    const connection = await this.#link.connectedSoon(signal);
    const lostFrom = after && (await this.#lostFrom(connection, node, after));
    if (lostFrom !== undefined) return { lostFrom };
    const oldestMs = Math.max(0, ...events.map(({ ageMs }) => ageMs));
    const since = new Date(Date.now() - oldestMs - CLOCK_SKEW_MS);
    const stored = this.#mayForget(oldestMs)
      ? await findStoredIds(connection, subjectFilter({ node }), since)
      : NONE;
    const sequences: bigint[] = [];
    for (const { event } of events) {
      signal.throwIfAborted();
      sequences.push(stored.get(event.id) ?? (await this.#publish(connection, event)));
    }
    return { sequences };
  }

  /** Whether an event is where `append` said, and the oldest sequence that is kept. Throws Unavailable. */
  async check(place: StoredPlace, signal: AbortSignal): Promise<{ stored: boolean; first: bigint }> {
    return this.#find(await this.#link.connectedSoon(signal), place);
  }

  /** Asked once for each node on a connection. */
  async #lostFrom(connection: Connection, node: string, after: StoredPlace): Promise<bigint | undefined> {
    const intact = this.#intact.get(connection) ?? new Set();
    this.#intact.set(connection, intact);
    if (intact.has(node)) return undefined;
    const { stored, first } = await this.#find(connection, after);
    // What is older than all that the stream keeps has gone because of its age.
    if (!stored && first <= after.sequence) return first;
    intact.add(node);
    return undefined;
  }

  async #find(connection: Connection, { id, sequence }: StoredPlace) {
    const stored = (await storedIdAt(connection, sequence)) === id;
    return { stored, first: stored ? 0n : (await streamBounds(connection)).first };
  }

  async #publish(connection: Connection, event: LifecycleEvent): Promise<bigint> {
    const { seq, isDuplicate } = await publishEvent(connection, event);
    this.#metrics.spooled.add(isDuplicate ? 0 : 1);
    return seq;
  }

  /** An event is not sent before it happened, so the server knows the ids of all that happened within its window. */
  #mayForget(ageMs: number): boolean {
    return ageMs > this.#dedupWindowMs - CLOCK_SKEW_MS;
  }
}
