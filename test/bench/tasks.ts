import type { Ctr } from '../harness/ctr.ts';
import { atOnce } from './at-once.ts';
import { printBar } from './bar.ts';
import { type Side, startSides } from './sides.ts';
import { formatTimings, timingsOf } from './statistics.ts';
import { TasksCpu } from './tasks-cpu.ts';

const MAX_MEDIAN_RATIO = 1.15;
const MIN_THROUGHPUT_RATIO = 1.0;

const WORKERS = 4;
/** The sides take turns with so many runs each, so that a machine that slows down slows both. */
const RUNS_IN_A_TURN = 20;

export interface TasksOptions {
  /** Counted runs on each side, one after the other; of so many the throughput is measured too. */
  runs: number;
  warmUpRounds: number;
  /** Prints what each process used, too: unlike times, that holds on a machine that does other things beside. */
  cpu: boolean;
}

/** Prints what create, start, wait and delete of `true` take by `ctr run --rm`, alone and four at once, beside a containerd. */
export async function benchTasks({ runs, warmUpRounds, cpu }: TasksOptions): Promise<void> {
  await using started = await startSides();
  const { sides, image } = started;
  const run = (ctr: Ctr, id: string) => ctr.ok(['run', '--rm', image, id, 'true']);

  const used = cpu ? await TasksCpu.begin(started) : undefined;
  const samples = sides.map((): number[] => []);
  for (let n = 0; n < warmUpRounds + runs; n++) {
    for (const [i, { ctr }] of sides.entries()) {
      const began = performance.now();
      await run(ctr, `one-${n}`);
      if (n >= warmUpRounds) samples[i]!.push(performance.now() - began);
    }
  }
  const timings = samples.map(timingsOf);
  console.log(`ctr run --rm IMAGE true, ${runs} runs:`);
  for (const [i, { name }] of sides.entries())
    console.log(`  ${name.padEnd(10)} ${formatTimings(timings[i]!)}`);
  const ratio = timings[0]!.median / timings[1]!.median;
  await used?.print(warmUpRounds + runs);
  printBar(`median ≤ ${MAX_MEDIAN_RATIO} × containerd's`, ratio.toFixed(2), ratio <= MAX_MEDIAN_RATIO);

  const rates = await throughputs(sides, run, runs);
  console.log(`ctr run --rm IMAGE true, ${WORKERS} at once, ${runs} runs:`);
  for (const [i, { name }] of sides.entries())
    console.log(`  ${name.padEnd(10)} ${rates[i]!.toFixed(2)} runs/s`);
  await used?.print((turnsOf(runs) + 1) * inTurnOf(runs));
  const gain = rates[0]! / rates[1]!;
  printBar(
    `throughput ≥ ${MIN_THROUGHPUT_RATIO.toFixed(2)} × containerd's`,
    gain.toFixed(2),
    gain >= MIN_THROUGHPUT_RATIO,
  );
}

/** Runs a second on each side; the first turn of each is not counted. */
async function throughputs(
  sides: readonly Side[],
  run: (ctr: Ctr, id: string) => Promise<unknown>,
  runs: number,
): Promise<number[]> {
  const spentMs = sides.map(() => 0);
  const turns = turnsOf(runs);
  const inTurn = inTurnOf(runs);
  for (let turn = 0; turn <= turns; turn++) {
    for (const [i, { ctr }] of sides.entries()) {
      const began = performance.now();
      await atOnce(WORKERS, inTurn, (n) => run(ctr, `four-${turn}-${n}`));
      if (turn > 0) spentMs[i]! += performance.now() - began;
    }
  }
  return spentMs.map((ms) => (turns * inTurn * 1000) / ms);
}

function turnsOf(runs: number): number {
  return Math.max(1, Math.ceil(runs / RUNS_IN_A_TURN));
}

function inTurnOf(runs: number): number {
  return Math.min(runs, RUNS_IN_A_TURN);
}
