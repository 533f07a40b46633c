import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@longshore/kit';

/** Does a small piece of work now and again until the signal aborts; a failure waits for the next time. */
export async function repeat(
  intervalMs: number,
  signal: AbortSignal,
  work: () => Promise<void>,
  log: Logger,
): Promise<void> {
  while (!signal.aborted) {
    await work().catch((error) => log.warn({ err: error }, 'upkeep failed; will try again'));
    await sleep(intervalMs, undefined, { signal, ref: false }).catch(() => undefined);
  }
}
