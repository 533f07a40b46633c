import { type RetryPolicy, retryDelayMs, unavailable } from '@longshore/errors';
import type { Term } from '@longshore/postgres';

/** As many as the column `partition` of an outbox has values. */
export const PARTITIONS = Array.from({ length: 16 }, (_, partition) => partition);
const RETRY: RetryPolicy = { initialDelayMs: 100, maxDelayMs: 2_000, attempts: Number.POSITIVE_INFINITY };

/** unsure: there may be rows whose fate is unknown. stopped: until a time of `performance`. */
type State = { kind: 'unsure' | 'ready' } | { kind: 'stopped'; untilMs: number };

interface Led {
  term: Term;
  state: State;
  /** Failures in a row. */
  failures: number;
}

/** The partitions of one outbox that this process leads. One whose term is over counts no more, also before it has left. */
export class Partitions {
  readonly #led = new Map<number, Led>();

  get led(): number[] {
    return this.#of(() => true);
  }

  /** Led, and to be compared with the stream before anything is published. Includes those whose stop is over. */
  get unsure(): number[] {
    for (const led of this.#led.values()) {
      const { state } = led;
      if (state.kind === 'stopped' && state.untilMs <= performance.now()) led.state = { kind: 'unsure' };
    }
    return this.#of(({ state }) => state.kind === 'unsure');
  }

  get ready(): number[] {
    return this.#of(({ state }) => state.kind === 'ready');
  }

  isLed(partition: number): boolean {
    return this.#led.get(partition)?.term.isOver === false;
  }

  lead(partition: number, term: Term): void {
    this.#led.set(partition, { term, state: { kind: 'unsure' }, failures: 0 });
  }

  leave(partition: number): void {
    this.#led.delete(partition);
  }

  /** The terms that each write to rows of these partitions needs. Throws Unavailable unless all are led here. */
  of(partitions: readonly number[]): Term[] {
    return partitions.map((partition) => {
      const led = this.#led.get(partition);
      if (!led) throw unavailable(`partition ${partition}: not led here any more`);
      return led.term;
    });
  }

  /** On a new connection nothing is known about what was published on the one before. */
  doubtAll(): void {
    for (const led of this.#led.values()) Object.assign(led, { state: { kind: 'unsure' }, failures: 0 });
  }

  doubt(partitions: readonly number[]): void {
    this.#set(partitions, 'unsure');
  }

  settle(partitions: readonly number[]): void {
    this.#set(partitions, 'ready');
  }

  /** A publish failed: nothing of this partition may be sent for a while, longer with every failure in a row. */
  stop(partition: number): void {
    const led = this.#led.get(partition);
    if (!led) return;
    led.failures++;
    led.state = {
      kind: 'stopped',
      untilMs: performance.now() + Math.ceil(retryDelayMs(RETRY, led.failures)),
    };
  }

  succeed(partition: number): void {
    const led = this.#led.get(partition);
    if (led) led.failures = 0;
  }

  /** Milliseconds until the first stop is over; Infinity without one. */
  get nextRetryMs(): number {
    const waits = Array.from(this.#led.values(), ({ state }) =>
      state.kind === 'stopped' ? Math.max(0, state.untilMs - performance.now()) : Number.POSITIVE_INFINITY,
    );
    return Math.min(...waits);
  }

  #of(matches: (led: Led) => boolean): number[] {
    return PARTITIONS.filter((partition) => {
      const led = this.#led.get(partition);
      return led !== undefined && !led.term.isOver && matches(led);
    });
  }

  #set(partitions: readonly number[], kind: 'unsure' | 'ready'): void {
    for (const partition of partitions) {
      const led = this.#led.get(partition);
      if (led) led.state = { kind };
    }
  }
}
