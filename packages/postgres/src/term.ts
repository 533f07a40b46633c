import { unavailable } from '@longshore/errors';
import type { Queryable } from './pool.ts';
import { query } from './transaction.ts';

/** One time of leading. It is over, for good, when it was not renewed in time, and when it was given back. */
export class Term {
  readonly name: string;
  /** Grows with every take-over of the name. */
  readonly number: bigint;
  readonly #over = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  /** A time of `performance`. */
  #endsAt = Number.POSITIVE_INFINITY;

  constructor(name: string, number: bigint) {
    this.name = name;
    this.number = number;
  }

  /** Aborts when the term is over, as far as this process knows: only `check` is certain. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /**
   * The same by the clock: for what is led and cannot be checked in a transaction. A process that was paused asks this before
   * its timers have told the signal.
   */
  get isOver(): boolean {
    if (performance.now() >= this.#endsAt) this.end();
    return this.signal.aborted;
  }

  /**
   * To be called in the transaction of every write that is led, before it. Throws Unavailable when the term is over. When it
   * is not, nobody takes over before the transaction ends, however long this process is paused in it.
   */
  check(tx: Queryable): Promise<void> {
    return checkTerms(tx, [this]);
  }

  /** Ends it by itself in `ms` from now, unless that is said again. */
  endIn(ms: number): void {
    clearTimeout(this.#timer);
    if (this.signal.aborted) return;
    this.#endsAt = performance.now() + ms;
    this.#timer = setTimeout(() => this.end(), Math.max(0, ms)).unref();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#over.abort();
  }
}

/**
 * `checkTerms` for a write that is one statement: a part of it, for the terms given by {@link termValues}, of which `first` is
 * the number of the first. The statement writes only if {@link ALL_LED}, and answers `ARRAY(SELECT name FROM led)` for
 * {@link requireLed}.
 */
export function ledPart(first: number): string {
  return `wanted AS MATERIALIZED (
      SELECT * FROM unnest($${first}::text[], $${first + 1}::bigint[]) AS t (name, term)
    ), led AS MATERIALIZED (
      SELECT l.name FROM leaders AS l JOIN wanted USING (name, term)
      WHERE l.expires_at > clock_timestamp() FOR KEY SHARE OF l
    )`;
}

export const ALL_LED = '(SELECT count(*) FROM led) = (SELECT count(*) FROM wanted)';

export function termValues(terms: readonly Term[]): [names: string[], numbers: bigint[]] {
  return [terms.map(({ name }) => name), terms.map(({ number }) => number)];
}

/** Ends the terms that are not among the names of those that are led, and throws Unavailable when there is one. */
export function requireLed(terms: readonly Term[], names: Iterable<string>): void {
  const led = new Set(names);
  const over = terms.filter(({ name }) => !led.has(name));
  for (const term of over) term.end();
  const [first] = over;
  if (first) throw unavailable(`leadership of ${JSON.stringify(first.name)}: term ${first.number} is over`);
}

/** `Term.check` of several terms, for a write that needs them all, in one statement. Ends those that are over. */
export async function checkTerms(tx: Queryable, terms: readonly Term[]): Promise<void> {
  const rows = await query<{ name: string }>(
    tx,
    `WITH ${ledPart(1)} SELECT name FROM led`,
    termValues(terms),
  );
  requireLed(
    terms,
    rows.map(({ name }) => name),
  );
}
