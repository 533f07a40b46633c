import { type RetryPolicy, retryDelayMs } from '@longshore/errors';

/** As many as the column `partition` of an outbox has values. */
const ALL = Array.from({ length: 16 }, (_, partition) => partition);
const RETRY: RetryPolicy = { initialDelayMs: 100, maxDelayMs: 2_000, attempts: Number.POSITIVE_INFINITY };

/** free: somebody else leads it, or nobody. unsure: there may be rows whose fate is unknown. stopped: until a time of `performance`. */
type State = { kind: 'free' | 'unsure' | 'ready' } | { kind: 'stopped'; untilMs: number };

/** The partitions of one outbox, as one leader session sees them. */
export class Partitions {
  readonly #states = new Map<number, State>(ALL.map((partition) => [partition, { kind: 'free' }]));
  readonly #failures = new Map<number, number>();

  /** Not led by this process. */
  get free(): number[] {
    return this.#of('free');
  }

  get led(): number[] {
    return ALL.filter((partition) => this.#states.get(partition)?.kind !== 'free');
  }

  /** Led, and to be compared with the stream before anything is published. Includes those whose stop is over. */
  get unsure(): number[] {
    for (const [partition, state] of this.#states) {
      if (state.kind === 'stopped' && state.untilMs <= performance.now()) this.#set([partition], 'unsure');
    }
    return this.#of('unsure');
  }

  get ready(): number[] {
    return this.#of('ready');
  }

  lead(partitions: number[]): void {
    this.#set(partitions, 'unsure');
  }

  /** On a new connection nothing is known about what was published on the one before. */
  doubtAll(): void {
    this.#failures.clear();
    this.#set(this.led, 'unsure');
  }

  settle(partitions: number[]): void {
    this.#set(partitions, 'ready');
  }

  /** A publish failed: nothing of this partition may be sent for a while, longer with every failure in a row. */
  stop(partition: number): void {
    const failures = (this.#failures.get(partition) ?? 0) + 1;
    this.#failures.set(partition, failures);
    this.#states.set(partition, {
      kind: 'stopped',
      untilMs: performance.now() + Math.ceil(retryDelayMs(RETRY, failures)),
    });
  }

  succeed(partition: number): void {
    this.#failures.delete(partition);
  }

  /** Milliseconds until the first stop is over; Infinity without one. */
  get nextRetryMs(): number {
    const waits = [...this.#states.values()].map((state) =>
      state.kind === 'stopped' ? Math.max(0, state.untilMs - performance.now()) : Number.POSITIVE_INFINITY,
    );
    return Math.min(...waits);
  }

  #of(kind: State['kind']): number[] {
    return ALL.filter((partition) => this.#states.get(partition)?.kind === kind);
  }

  #set(partitions: number[], kind: 'unsure' | 'ready'): void {
    for (const partition of partitions) this.#states.set(partition, { kind });
  }
}
