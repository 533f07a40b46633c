import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process whose event loop has less time left than this has other things to do. */
const BUSY_UTILIZATION = 0.8;
/** How much slower background work goes then; it never stops. */
const BUSY_FACTOR = 10;

/** Holds background work back to a rate, and further while this process is busy. */
export class Pace {
  readonly #perSecond: number;
  readonly #isBusy: () => boolean;
  #nextAt = 0;

  /** `perSecond`: of whatever is counted. */
  constructor(perSecond: number, isBusy = eventLoopIsBusy()) {
    this.#perSecond = perSecond;
    this.#isBusy = isBusy;
  }

  /** Waits until so much may be done; not any longer once the signal has aborted. */
  async take(amount: number, signal: AbortSignal): Promise<void> {
    const now = performance.now();
    const waitMs = Math.max(0, this.#nextAt - now);
    const costMs = (amount / this.#perSecond) * 1000 * (this.#isBusy() ? BUSY_FACTOR : 1);
    this.#nextAt = now + waitMs + costMs;
    await sleep(waitMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Since it was asked last. */
function eventLoopIsBusy(): () => boolean {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization > BUSY_UTILIZATION;
  };
}
