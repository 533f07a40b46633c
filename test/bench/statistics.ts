/** Milliseconds of several runs of one thing. */
export interface Timings {
  median: number;
  min: number;
  max: number;
}

export function timingsOf(samplesMs: readonly number[]): Timings {
  const sorted = samplesMs.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

export function formatTimings({ median, min, max }: Timings): string {
  return `median ${median.toFixed(0)} ms (min ${min.toFixed(0)}, max ${max.toFixed(0)})`;
}
