import type { Duration } from '@bufbuild/protobuf/wkt';
import { durationMs } from '@bufbuild/protobuf/wkt';
import { failedPrecondition } from '@longshore/errors';

/** As the control plane says it. */
interface DesiredMessage {
  cordoned: boolean;
  draining: boolean;
  drainGrace?: Duration | undefined;
}

/** What the control plane wants of this node, as last heard: without its word, everything is open. */
export class Desired {
  readonly #nodeId: string;
  readonly #listeners = new Set<() => void>();
  #cordoned = false;
  #drainGraceMs: number | undefined;

  constructor(nodeId: string) {
    this.#nodeId = nodeId;
  }

  /** How long tasks may take to end by themselves; undefined when none is to end. */
  get drainGraceMs(): number | undefined {
    return this.#drainGraceMs;
  }

  /** Tells the listeners, also when nothing is new: what was to be done may not have been done. */
  take({ cordoned, draining, drainGrace }: DesiredMessage): void {
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
}
