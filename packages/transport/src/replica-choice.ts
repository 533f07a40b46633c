import { createHash } from 'node:crypto';

/** A replica that failed is asked last for so long; doubles with each failure in a row. */
const REST_MS = 200;
const MAX_REST_MS = 5_000;

interface State {
  failures: number;
  restsUntil: number;
}

export interface ReplicaChoiceOptions {
  /** In milliseconds; a clock that is never set. */
  now?: () => number;
  /** Index that the first round begins with: processes that start at once should not all ask the same replica. */
  first?: number;
}

/** Chooses among the replicas of a service: in turns among those that are well. It only remembers what it is told. */
export class ReplicaChoice {
  readonly #names: readonly string[];
  readonly #states: State[];
  readonly #now: () => number;
  #next: number;

  /** `names`, e.g. addresses, make the choice by key the same in every process, in whatever order they come. */
  constructor(names: readonly string[], options: ReplicaChoiceOptions = {}) {
    this.#names = names;
    this.#states = names.map(() => ({ failures: 0, restsUntil: 0 }));
    this.#now = options.now ?? (() => performance.now());
    this.#next = options.first ?? Math.floor(Math.random() * names.length);
  }

  /**
   * Indexes in the order to try them: those that are well, then those that rest. The same key gives the same first one
   * as long as that is well.
   */
  order(key?: string): number[] {
    const all = key === undefined ? this.#inTurn() : this.#byKey(key);
    return [...all.filter((index) => this.isWell(index)), ...all.filter((index) => !this.isWell(index))];
  }

  isWell(index: number): boolean {
    return this.#states[index]!.restsUntil <= this.#now();
  }

  failed(index: number): void {
    const state = this.#states[index]!;
    const restMs = Math.min(MAX_REST_MS, REST_MS * 2 ** Math.min(state.failures++, 10));
    state.restsUntil = this.#now() + restMs;
  }

  answered(index: number): void {
    const state = this.#states[index]!;
    state.failures = 0;
    state.restsUntil = 0;
  }

  #inTurn(): number[] {
    const first = this.#next;
    this.#next = (first + 1) % this.#names.length;
    return this.#names.map((_, offset) => (first + offset) % this.#names.length);
  }

  /** Rendezvous hashing: without one replica, only its own keys move. */
  #byKey(key: string): number[] {
    const weights = this.#names.map((name) => createHash('sha1').update(`${name}\0${key}`).digest('hex'));
    return this.#names.map((_, index) => index).sort((a, b) => (weights[a]! < weights[b]! ? 1 : -1));
  }
}
