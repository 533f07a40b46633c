import { messageOf } from '@longshore/errors';

/** What a service cannot do its work without, by name: each rejects while it is away, with an error that says what is. */
export type ReadinessChecks = Readonly<Record<string, () => Promise<unknown>>>;

/** A check that has not ended by then has failed. */
const CHECK_TIMEOUT_MS = 2_000;

/** Asks what a service needs, once for all who want to know at a time. */
export class Readiness {
  readonly #checks: ReadinessChecks;
  #asking: Promise<string[]> | undefined;

  constructor(checks: ReadinessChecks = {}) {
    this.#checks = checks;
  }

  /** A line for each thing that is away, e.g. `database: connect ECONNREFUSED`. */
  problems(): Promise<string[]> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<string[]> {
    const asked = Object.entries(this.#checks).map(async ([name, check]) => {
      try {
        await inTime(name, check());
        return [];
      } catch (error) {
        return [messageOf(error)];
      }
    });
    return (await Promise.all(asked)).flat();
  }
}

function inTime<T>(name: string, check: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${name}: does not answer`)), CHECK_TIMEOUT_MS);
  return Promise.race([check, late]).finally(() => clearTimeout(timer));
}
