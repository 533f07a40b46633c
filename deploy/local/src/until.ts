import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 20;

/**
 * Looks every 20 ms, or only after as long as the look itself took; false when `condition` did not hold within
 * `timeoutMs`.
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const askedMs = performance.now();
    if (await condition()) return true;
    if (performance.now() > deadline) return false;
    await sleep(Math.max(POLL_MS, performance.now() - askedMs));
  }
}
