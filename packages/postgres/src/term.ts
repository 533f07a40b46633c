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

  constructor(name: string, number: bigint) {
    this.name = name;
    this.number = number;
  }

  /** Aborts when the term is over, as far as this process knows: only `check` is certain. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /**
   * To be called in the transaction of every write that is led, before it. Throws Unavailable when the term is over. When it
   * is not, nobody takes over before the transaction ends, however long this process is paused in it.
   */
  async check(tx: Queryable): Promise<void> {
    const rows = await query(
      tx,
      'SELECT FROM leaders WHERE name = $1 AND term = $2 AND expires_at > clock_timestamp() FOR KEY SHARE',
      [this.name, this.number],
    );
    if (rows.length > 0) return;
    this.end();
    throw unavailable(`leadership of ${JSON.stringify(this.name)}: term ${this.number} is over`);
  }

  /** Ends it by itself in `ms` from now, unless that is said again. */
  endIn(ms: number): void {
    clearTimeout(this.#timer);
    if (this.signal.aborted) return;
    this.#timer = setTimeout(() => this.end(), Math.max(0, ms)).unref();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#over.abort();
  }
}
