/** Before those that count. */
export const WARM_UP_CALLS = 10;

/** Milliseconds of many calls. */
export interface Latency {
  p50: number;
  p99: number;
  max: number;
}

/** The time of `calls` calls, one after the other, after some that are not counted. */
export async function latencyOf(calls: number, call: () => Promise<unknown>): Promise<Latency> {
  const samples: number[] = [];
  for (let n = 0; n < WARM_UP_CALLS + calls; n++) {
    const started = performance.now();
    await call();
    if (n >= WARM_UP_CALLS) samples.push(performance.now() - started);
  }
  return latencyIn(samples);
}

/** Zeros when there are no samples. */
export function latencyIn(samplesMs: readonly number[]): Latency {
  const sorted = samplesMs.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}

export function formatLatency({ p50, p99, max }: Latency): string {
  return `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, max ${max.toFixed(1)} ms`;
}
