import { LongshoreError } from '@longshore/errors';
import type { Envelope } from '@longshore/proto/containerd/types/event';

/**
 * containerd's queues are unbounded. A subscriber that is this far behind has stopped reading, and would take the
 * agent's memory: at some 500 bytes an event, 16 MB.
 */
const MAX_QUEUED_EVENTS = 32_768;
/** For events that are larger than most: one may have half a megabyte. */
const MAX_QUEUED_BYTES = 64 * 1024 ** 2;

export interface QueueLimits {
  events: number;
  bytes: number;
}

export interface SubscribeOptions {
  /** Ends the subscription without an error. */
  signal?: AbortSignal | undefined;
  /** Which events are wanted; all by default. */
  accepts?: (envelope: Envelope) => boolean;
}

/**
 * Events of this node as they happen, to any number of subscribers, each of which gets all of them in the order of
 * `publish`, from the moment of `subscribe`. Nothing is replayed.
 */
export class EventHub {
  readonly #subscriptions = new Set<Subscription>();
  readonly #limits: QueueLimits;

  /** What may be queued for one subscriber. */
  constructor({ events = MAX_QUEUED_EVENTS, bytes = MAX_QUEUED_BYTES }: Partial<QueueLimits> = {}) {
    this.#limits = { events, bytes };
  }

  publish(envelope: Envelope): void {
    for (const subscription of this.#subscriptions) subscription.push(envelope);
  }

  /** Ends with `ResourceExhausted` for a subscriber that does not keep up, after what was queued for it. */
  subscribe({ signal, accepts }: SubscribeOptions = {}): AsyncIterable<Envelope> {
    const subscription: Subscription = new Subscription(this.#limits, accepts, () => {
      this.#subscriptions.delete(subscription);
      signal?.removeEventListener('abort', end);
    });
    const end = () => subscription.end();
    this.#subscriptions.add(subscription);
    if (signal?.aborted) subscription.end();
    else signal?.addEventListener('abort', end, { once: true });
    return subscription;
  }

  get subscribers(): number {
    return this.#subscriptions.size;
  }
}

/** open → ended. Ending leaves the hub at once; what was queued can still be read. */
class Subscription implements AsyncIterable<Envelope> {
  readonly #limits: QueueLimits;
  readonly #accepts: ((envelope: Envelope) => boolean) | undefined;
  readonly #leave: () => void;
  #queue: Envelope[] = [];
  #queuedBytes = 0;
  #ended: { error?: LongshoreError } | undefined;
  #wake: (() => void) | undefined;

  constructor(
    limits: QueueLimits,
    accepts: ((envelope: Envelope) => boolean) | undefined,
    leave: () => void,
  ) {
    this.#limits = limits;
    this.#accepts = accepts;
    this.#leave = leave;
  }

  push(envelope: Envelope): void {
    if (this.#accepts && !this.#accepts(envelope)) return;
    if (this.#queue.length >= this.#limits.events || this.#queuedBytes >= this.#limits.bytes) {
      this.end(tooSlow(this.#queue.length));
      return;
    }
    this.#queue.push(envelope);
    this.#queuedBytes += envelope.event?.value.length ?? 0;
    this.#wake?.();
  }

  end(error?: LongshoreError): void {
    if (this.#ended) return;
    this.#ended = error ? { error } : {};
    this.#leave();
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Envelope> {
    try {
      for (;;) {
        const batch = this.#queue;
        this.#queue = [];
        this.#queuedBytes = 0;
        yield* batch;
        if (this.#queue.length > 0) continue;
        if (this.#ended?.error) throw this.#ended.error;
        if (this.#ended) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      this.end();
    }
  }
}

function tooSlow(queued: number): LongshoreError {
  return new LongshoreError('ResourceExhausted', `subscriber is ${queued} events behind: resource exhausted`);
}
