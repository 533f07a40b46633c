import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { REPOSITORY } from '../architecture/sources.ts';
import { printBar } from './bar.ts';
import { type BenchStack, startBenchStack } from './sides.ts';
import { formatTimings, timingsOf } from './statistics.ts';

const PROGRAM = join(REPOSITORY, 'packages/cli/bin/longshore.mjs');
const MAX_VERSION_MS = 120;
const MAX_RUN_RATIO = 1.1;

/** Until the compile cache is warm. */
const WARM_UPS = 3;

export interface CliOptions {
  runs: number;
}

/** Prints how long short commands take as whole processes, beside a Node that does nothing, and `run` beside `ctr run`. */
export async function benchCli({ runs }: CliOptions): Promise<void> {
  await using started = await startBenchStack();
  await benchCommands(started, runs);
  await benchRun(started, runs);
}

async function benchCommands(started: BenchStack, runs: number): Promise<void> {
  const env = { ...process.env, LONGSHORE_SOCKET: started.stack.socket };
  const lines: Record<string, string[]> = {
    'node -e 0': ['-e', '0'],
    'longshore version --client': [PROGRAM, 'version', '--client'],
    'longshore version': [PROGRAM, 'version'],
    'longshore ps': [PROGRAM, 'ps'],
    'longshore images -q': [PROGRAM, 'images', '-q'],
  };
  const samples = new Map(Object.keys(lines).map((name) => [name, [] as number[]]));
  // In turn, so that a machine that slows down slows all.
  for (let round = -WARM_UPS; round < runs; round++) {
    for (const [name, argv] of Object.entries(lines)) {
      const beganMs = performance.now();
      await promisify(execFile)(process.execPath, argv, { env });
      if (round >= 0) samples.get(name)!.push(performance.now() - beganMs);
    }
  }
  console.log(`whole processes, ${runs} runs of each:`);
  for (const [name, each] of samples) console.log(`  ${name.padEnd(28)} ${formatTimings(timingsOf(each))}`);
  const { median } = timingsOf(samples.get('longshore version')!);
  printBar(
    `longshore version, with the server's, ≤ ${MAX_VERSION_MS} ms`,
    `${median.toFixed(0)} ms`,
    median <= MAX_VERSION_MS,
  );
}

/** Of one client: its own start, told by a command that asks one thing of the server, and a whole run. */
interface RunSamples {
  start: number[];
  run: number[];
}

/** An image that is there, run to its end and removed by both clients against one socket, less what each takes to start. */
async function benchRun({ stack, image }: BenchStack, runs: number): Promise<void> {
  const env = { ...process.env, LONGSHORE_SOCKET: stack.socket };
  const longshore = (args: string[]) => promisify(execFile)(process.execPath, [PROGRAM, ...args], { env });
  const samples = { longshore: { start: [], run: [] }, ctr: { start: [], run: [] } } as Record<
    'longshore' | 'ctr',
    RunSamples
  >;
  for (let round = -WARM_UPS; round < runs; round++) {
    const took = {
      longshore: {
        start: await timed(() => longshore(['images', '-q'])),
        run: await timed(() => longshore(['run', '--rm', image, '/bin/true'])),
      },
      ctr: {
        start: await timed(() => stack.ctr.ok(['image', 'ls', '-q'])),
        run: await timed(() =>
          stack.ctr.ok(['run', '--rm', image, `bench-${round + WARM_UPS}`, '/bin/true']),
        ),
      },
    };
    if (round < 0) continue;
    for (const client of ['longshore', 'ctr'] as const) {
      samples[client].start.push(took[client].start);
      samples[client].run.push(took[client].run);
    }
  }
  console.log(`run --rm of an image that is there, ${runs} runs of each:`);
  const [ours, theirs] = (['longshore', 'ctr'] as const).map((client) => {
    const { start, run } = samples[client];
    console.log(`  ${`${client}, its own start`.padEnd(28)} ${formatTimings(timingsOf(start))}`);
    console.log(`  ${`${client}, whole`.padEnd(28)} ${formatTimings(timingsOf(run))}`);
    return timingsOf(run).median - timingsOf(start).median;
  }) as [number, number];
  printBar(
    `longshore run, less its start, ≤ ${MAX_RUN_RATIO}× ctr run`,
    `${ours.toFixed(0)} ms, ctr ${theirs.toFixed(0)} ms, ratio ${(ours / theirs).toFixed(2)}`,
    ours <= MAX_RUN_RATIO * theirs,
  );
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const beganMs = performance.now();
  await work();
  return performance.now() - beganMs;
}
