import { isKind } from './errors.ts';

export interface RetryPolicy {
  /** Delay before the second attempt, in milliseconds; doubles for each one after it. */
  initialDelayMs: number;
  maxDelayMs: number;
  /** Attempts in all; `Infinity` retries until the signal aborts. */
  attempts: number;
}

/** The delay before attempt `attempt + 1`, with full jitter, so that many callers do not return at once. */
export function retryDelayMs(
  policy: RetryPolicy,
  attempt: number,
  random: () => number = Math.random,
): number {
  const ceiling = Math.min(policy.maxDelayMs, policy.initialDelayMs * 2 ** (attempt - 1));
  return ceiling / 2 + (random() * ceiling) / 2;
}

/** Only what says "not now" is safe to send again: the server did not act on the call. */
export function isRetryable(error: unknown): boolean {
  return isKind(error, 'Unavailable');
}
