import type { Duration } from '@bufbuild/protobuf/wkt';
import { durationMs } from '@bufbuild/protobuf/wkt';
import { failedPrecondition, messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { DesiredStore } from './desired-store.ts';

/** As the control plane says it. */
interface DesiredMessage {
  cordoned: boolean;
  draining: boolean;
  drainGrace?: Duration | undefined;
}

/**
 * What the control plane wants of this node, as last heard: without its word, everything is open. That the node is cordoned
 * outlives this process; a drain, which ends tasks, goes on once the control plane has said so again.
 */
export class Desired {
  readonly #nodeId: string;
  readonly #store: DesiredStore;
  readonly #log: Logger;
  readonly #listeners = new Set<() => void>();
  #cordoned: boolean;
  /** As it is on the disk. */
  #kept: boolean;
  #drainGraceMs: number | undefined;

  constructor(nodeId: string, store: DesiredStore, log: Logger) {
    this.#nodeId = nodeId;
    this.#store = store;
    this.#log = log;
    this.#kept = store.cordoned;
    this.#cordoned = this.#kept;
  }

  /** How long tasks may take to end by themselves; undefined when none is to end. */
  get drainGraceMs(): number | undefined {
    return this.#drainGraceMs;
  }

  /** Tells the listeners, also when nothing is new: what was to be done may not have been done. */
  take({ cordoned, draining, drainGrace }: DesiredMessage): void {
    if (cordoned !== this.#kept) this.#keep(cordoned);
    this.#cordoned = cordoned;
    this.#drainGraceMs = draining ? (drainGrace ? durationMs(drainGrace) : 0) : undefined;
    for (const listener of this.#listeners) listener();
  }

  onTaken(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Throws FailedPrecondition while nothing new is to run here. */
  requireOpen(): void {
    if (this.#cordoned) throw failedPrecondition(`node ${JSON.stringify(this.#nodeId)} is cordoned`);
  }

  #keep(cordoned: boolean): void {
    try {
      this.#store.save(cordoned);
      this.#kept = cordoned;
    } catch (error) {
      this.#log.error({ cordoned, error: messageOf(error) }, 'what is wanted of this node cannot be kept');
    }
  }
}
