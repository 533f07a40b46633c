import type { Logger, Scope } from '@longshore/kit';
import type { CollectionScheduler } from './collection-scheduler.ts';
import { type LedTerm, untilOver } from './led-term.ts';

/** How late an expiry may be noticed. */
const EXPIRY_INTERVAL_MS = 30_000;
/** containerd's delay before the first collection. Source: containerd plugins/gc/scheduler.go. */
const STARTUP_DELAY_MS = 100;

export interface Expiries {
  expired(): Promise<Scope[]>;
  all(): Promise<Scope[]>;
}

/** Asks for collections that no call asks for: when a term begins, on expiry, and of everything now and then. One replica's. */
export class CollectionClock {
  readonly #expiries: Expiries;
  readonly #scheduler: CollectionScheduler;
  readonly #fullIntervalMs: number;
  readonly #log: Logger;

  constructor(expiries: Expiries, scheduler: CollectionScheduler, fullIntervalMs: number, log: Logger) {
    this.#expiries = expiries;
    this.#scheduler = scheduler;
    this.#fullIntervalMs = fullIntervalMs;
    this.#log = log;
  }

  /** Until the term is over. */
  async run(term: LedTerm): Promise<void> {
    const expired = () => this.#request(() => this.#expiries.expired(), term);
    const all = () => this.#request(() => this.#expiries.all(), term);
    const timers = [
      setTimeout(all, STARTUP_DELAY_MS).unref(),
      setInterval(all, this.#fullIntervalMs).unref(),
      setInterval(expired, EXPIRY_INTERVAL_MS).unref(),
    ];
    await untilOver(term);
    for (const timer of timers) clearTimeout(timer);
  }

  #request(scopes: () => Promise<Scope[]>, term: LedTerm): void {
    scopes().then(
      (found) => {
        for (const scope of found) this.#scheduler.request(scope, undefined, term);
      },
      (error) => this.#log.warn({ err: error }, 'looking for garbage failed; will try again'),
    );
  }
}
