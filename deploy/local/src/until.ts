import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 20;

/** Looks every 20 ms; false when `condition` did not hold within `timeoutMs`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}
