import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible';
import type { Caller } from '../access/caller.ts';
import { LimitReached } from './limit-reached.ts';

/** It is as good as any: what is under way ends when it ends. */
const BUSY_RETRY_MS = 1_000;

export interface CallerLimitsOptions {
  /** Calls that one caller may begin in a second. */
  callsPerSecond: number;
  /** Calls that one caller may have under way. */
  callsAtOnce: number;
  /** Told of each call that is refused. */
  onRefused?: ((limit: 'rate' | 'at_once') => void) | undefined;
}

/** To be called once, when the call is over. */
export type Release = () => void;

/** What one caller may ask of this gateway, by gRPC and HTTP together. Those on the unix socket may ask for anything. */
export class CallerLimits {
  readonly #rate: RateLimiterMemory;
  readonly #options: CallerLimitsOptions;
  readonly #underWay = new Map<string, number>();

  constructor(options: CallerLimitsOptions) {
    this.#options = options;
    this.#rate = new RateLimiterMemory({ points: options.callsPerSecond, duration: 1 });
  }

  /** Throws LimitReached. */
  async admit({ kind, name }: Caller): Promise<Release> {
    if (kind === 'local') return () => undefined;
    const { callsPerSecond, callsAtOnce, onRefused } = this.#options;
    const underWay = this.#underWay.get(name) ?? 0;
    if (underWay >= callsAtOnce) {
      onRefused?.('at_once');
      throw new LimitReached(`${name}: ${callsAtOnce} calls are under way`, BUSY_RETRY_MS);
    }
    // Counted before anything is awaited: many may come in one turn.
    this.#underWay.set(name, underWay + 1);
    try {
      await this.#rate.consume(name);
    } catch (refusal) {
      this.#release(name);
      if (refusal instanceof Error) throw refusal;
      onRefused?.('rate');
      const { msBeforeNext } = refusal as RateLimiterRes;
      throw new LimitReached(`${name}: more than ${callsPerSecond} calls in a second`, msBeforeNext);
    }
    return () => this.#release(name);
  }

  #release(name: string): void {
    const left = (this.#underWay.get(name) ?? 1) - 1;
    if (left > 0) this.#underWay.set(name, left);
    else this.#underWay.delete(name);
  }
}
