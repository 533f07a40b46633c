import { setTimeout as delay } from 'node:timers/promises';

/** Of a condition that costs nothing; one that starts a program is asked again only after as long as it took. */
const POLL_MS = 20;

/** Polls a condition until it holds; false when it did not within `timeoutMs`. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 20_000,
): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const askedMs = performance.now();
    if (await condition()) return true;
    if (Date.now() > deadline) return false;
    await delay(Math.max(POLL_MS, performance.now() - askedMs));
  }
}
