import type { EventHub } from './event-hub.ts';
import type { EventSpool, SpoolEvent } from './event-spool.ts';

/** Where this node's own events are reported, whoever found them. */
export interface EventRecorder {
  /** False when an event with this id was recorded before. */
  record(event: SpoolEvent): boolean;
}

/** Records each event once, durably, then tells the subscribers on this node, in the same order. */
export class NodeEvents implements EventRecorder {
  readonly #spool: EventSpool;
  readonly #hub: EventHub;

  constructor(spool: EventSpool, hub: EventHub) {
    this.#spool = spool;
    this.#hub = hub;
  }

  record(event: SpoolEvent): boolean {
    const { fresh } = this.#spool.record(event);
    if (fresh) this.#hub.publish(event.envelope);
    return fresh;
  }
}
