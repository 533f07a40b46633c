import { cpus, loadavg, totalmem } from 'node:os';
import type { Usage } from './usage.ts';

/** What one process takes. */
export interface Cost {
  cpuSecondsPerMinute: number;
  megabytes: number;
}

/** By process. */
export interface StepCost {
  nodes: number;
  costs: Record<string, Cost>;
}

const NAME_WIDTH = 16;
const COLUMN_WIDTH = 16;

export function costsBetween(
  before: Record<string, Usage>,
  after: Record<string, Usage>,
  minutes: number,
): Record<string, Cost> {
  const entries = Object.entries(after).map(([name, { cpuSeconds, megabytes }]) => {
    const used = cpuSeconds - before[name]!.cpuSeconds;
    return [name, { cpuSecondsPerMinute: used / minutes, megabytes }];
  });
  return Object.fromEntries(entries);
}

export function printMachine(): void {
  const [cpu] = cpus();
  const gigabytes = (totalmem() / 1e9).toFixed(0);
  console.log(`${cpus().length} x ${cpu?.model}, ${gigabytes} GB; load average ${loadavg()[0]!.toFixed(1)}`);
}

/** A line for each process, a column for each step. */
export function printCosts(steps: readonly StepCost[]): void {
  const [first] = steps;
  console.log('CPU seconds per minute / resident MB:');
  console.log(
    line(
      '',
      steps.map(({ nodes }) => `${nodes} nodes`),
    ),
  );
  for (const name of Object.keys(first?.costs ?? {})) {
    const cells = steps.map(({ costs }) => {
      const { cpuSecondsPerMinute, megabytes } = costs[name]!;
      return `${cpuSecondsPerMinute.toFixed(2)} / ${megabytes.toFixed(0)}`;
    });
    console.log(line(name, cells));
  }
}

function line(name: string, cells: readonly string[]): string {
  return `  ${name.padEnd(NAME_WIDTH)}${cells.map((cell) => cell.padStart(COLUMN_WIDTH)).join('')}`;
}
