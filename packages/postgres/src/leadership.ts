import { LeaderRepository } from './leader-repository.ts';
import type { Pool } from './pool.ts';
import { Term } from './term.ts';

/** How long a leader that died without a word keeps others from leading. */
export const LEADER_TTL_MS = 10_000;
/** A leader may miss two renewals. */
const RENEWALS = 3;
/** How often, in a time to live, those who wait look whether the leader has gone. */
const LOOKS = 20;

/** What one replica does at a time. It ends soon after the signal, which is the term's, has aborted. */
export type LedWork = (term: Term, signal: AbortSignal) => Promise<void>;

export interface LeadershipOptions {
  /** Says who leads to people who look into the table, e.g. a host's name and an address. */
  holder: string;
  /**
   * What the holders of earlier processes of this replica begin with, which are known to be gone: nobody waits for their terms
   * to run out.
   */
  predecessors?: string | undefined;
  /** Default: LEADER_TTL_MS. The same for all replicas. */
  ttlMs?: number;
  /** Told what went wrong in led work, and in looking who leads; both are tried again. */
  onError: (error: unknown, name: string) => void;
}

/**
 * Lets one of several replicas do a piece of work, by the table `leaders` of their schema. It decides who starts; that
 * nobody else writes is what `Term.check` in the transaction of each write is for. States: open → closed.
 */
export class Leadership {
  readonly #leaders: LeaderRepository;
  readonly #ttlMs: number;
  readonly #onError: LeadershipOptions['onError'];
  readonly #terms = new Set<Term>();
  /** Names that are waited for, with what goes on when one is free, or at the end. */
  readonly #waiting = new Map<string, () => void>();
  readonly #runs = new Set<Promise<void>>();
  #looks: NodeJS.Timeout | undefined;
  #renewals: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(pool: Pool, options: LeadershipOptions) {
    this.#ttlMs = options.ttlMs ?? LEADER_TTL_MS;
    this.#leaders = new LeaderRepository(pool, { ...options, ttlMs: this.#ttlMs });
    this.#onError = options.onError;
  }

  /**
   * Runs `work` whenever this replica leads the name, anew with each term; work that ends or fails gives its term back. It
   * returns, and never rejects, when this is closed. Once per name.
   */
  runWhileLeading(name: string, work: LedWork): Promise<void> {
    const run = this.#run(name, work).finally(() => this.#runs.delete(run));
    this.#runs.add(run);
    return run;
  }

  /** Ends all terms, waits for their work, and lets others take over at once. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#looks);
    clearInterval(this.#renewals);
    for (const go of this.#waiting.values()) go();
    for (const term of this.#terms) term.end();
    await Promise.all(this.#runs);
  }

  async #run(name: string, work: LedWork): Promise<void> {
    while (!this.#isClosed) {
      const term = await this.#take(name);
      if (term) await this.#lead(term, work);
      if (!this.#isClosed) await this.#untilFree(name);
    }
  }

  /** `undefined` when another leads. */
  async #take(name: string): Promise<Term | undefined> {
    const asked = performance.now();
    try {
      const number = await this.#leaders.take(name);
      if (number === undefined) return undefined;
      const term = new Term(name, number);
      this.#keep(term, asked);
      return term;
    } catch (error) {
      this.#onError(error, name);
      return undefined;
    }
  }

  #keep(term: Term, asked: number): void {
    this.#terms.add(term);
    term.endIn(asked + this.#ttlMs - performance.now());
    if (this.#isClosed) term.end();
    else this.#renewals ??= setInterval(() => this.#renew(), this.#ttlMs / RENEWALS).unref();
  }

  async #lead(term: Term, work: LedWork): Promise<void> {
    try {
      if (!term.signal.aborted) await work(term, term.signal);
    } catch (error) {
      if (!term.signal.aborted) this.#onError(error, term.name);
    } finally {
      this.#terms.delete(term);
      term.end();
      // What is not given back runs out.
      await this.#leaders.release(term).catch((error) => this.#onError(error, term.name));
    }
  }

  async #renew(): Promise<void> {
    const terms = [...this.#terms];
    if (terms.length === 0) return;
    const asked = performance.now();
    try {
      const renewed = await this.#leaders.renew(terms);
      for (const term of terms) {
        if (renewed.has(term.name)) term.endIn(asked + this.#ttlMs - performance.now());
        else term.end();
      }
    } catch (error) {
      for (const { name } of terms) this.#onError(error, name);
    }
  }

  #untilFree(name: string): Promise<void> {
    this.#looks ??= setInterval(() => this.#look(), this.#ttlMs / LOOKS).unref();
    return new Promise((resolve) => this.#waiting.set(name, resolve));
  }

  async #look(): Promise<void> {
    const names = [...this.#waiting.keys()];
    if (names.length === 0) return;
    try {
      for (const name of await this.#leaders.free(names)) this.#go(name);
    } catch (error) {
      for (const name of names) this.#onError(error, name);
    }
  }

  #go(name: string): void {
    const go = this.#waiting.get(name);
    this.#waiting.delete(name);
    go?.();
  }
}
