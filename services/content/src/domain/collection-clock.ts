import type { Logger, Scope } from '@longshore/kit';
import type { CollectionScheduler } from './collection-scheduler.ts';

/** How late an expiry may be noticed. */
const EXPIRY_INTERVAL_MS = 30_000;
/** containerd's delay before the first collection. Source: containerd plugins/gc/scheduler.go. */
const STARTUP_DELAY_MS = 100;

export interface Expiries {
  expired(): Promise<Scope[]>;
  all(): Promise<Scope[]>;
}

/** Asks for collections that no call asks for: after a start, on expiry, and of everything now and then. */
export class CollectionClock {
  readonly #expiries: Expiries;
  readonly #scheduler: CollectionScheduler;
  readonly #fullIntervalMs: number;
  readonly #log: Logger;
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(expiries: Expiries, scheduler: CollectionScheduler, fullIntervalMs: number, log: Logger) {
    this.#expiries = expiries;
    this.#scheduler = scheduler;
    this.#fullIntervalMs = fullIntervalMs;
    this.#log = log;
  }

  start(): void {
    const expired = () => this.#request(() => this.#expiries.expired());
    const all = () => this.#request(() => this.#expiries.all());
    this.#timers.push(
      setTimeout(all, STARTUP_DELAY_MS).unref(),
      setInterval(all, this.#fullIntervalMs).unref(),
      setInterval(expired, EXPIRY_INTERVAL_MS).unref(),
    );
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #request(scopes: () => Promise<Scope[]>): void {
    scopes().then(
      (found) => {
        for (const scope of found) this.#scheduler.request(scope);
      },
      (error) => this.#log.warn({ err: error }, 'looking for garbage failed; will try again'),
    );
  }
}
