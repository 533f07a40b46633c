import { collectAll } from './collector.ts';

/** Often enough that memory is back well within a minute of a burst's end. */
const INTERVAL_MS = 5_000;
/** Less CPU than this in an interval is idle: timers, health checks. */
const IDLE_CPU_MS = 100;
/** Work worth a collection: what an idle process does in minutes does not cause one. */
const WORTH_CPU_MS = 500;

/**
 * Gives memory back to the system once a burst of work is over. V8 collects while it allocates: an idle process keeps the
 * heap of its busiest moment for ever, measured at twice what it needs. A collection takes some 30 ms, when nobody waits.
 */
export function releaseMemoryWhenIdle(): void {
  let last = cpuMs();
  let sinceCollectionMs = WORTH_CPU_MS;
  setInterval(() => {
    const now = cpuMs();
    const spentMs = now - last;
    last = now;
    sinceCollectionMs += spentMs;
    if (spentMs > IDLE_CPU_MS || sinceCollectionMs < WORTH_CPU_MS) return;
    collectAll();
    last = cpuMs();
    sinceCollectionMs = 0;
  }, INTERVAL_MS).unref();
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
