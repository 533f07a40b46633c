import { setTimeout as delay } from 'node:timers/promises';
import { isRetryable, type RetryPolicy, retryDelayMs } from '@longshore/errors';

/** Some ten seconds: longer than a replica takes to come back, shorter than people wait without a word. */
export const WHILE_AWAY: RetryPolicy = { initialDelayMs: 200, maxDelayMs: 3_000, attempts: 6 };

/** Does what is safe to repeat again for as long as a service is away. Throws what the last attempt does. */
export async function whileAway<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (!isRetryable(error) || attempt === WHILE_AWAY.attempts) throw error;
      await delay(retryDelayMs(WHILE_AWAY, attempt), undefined, { signal });
    }
  }
}
