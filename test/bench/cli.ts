import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { REPOSITORY } from '../architecture/sources.ts';
import { Ctr } from '../harness/ctr.ts';
import { printBar } from './bar.ts';
import { meterSocket } from './cli/metered-socket.ts';
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

/** Of one client: whole processes, and what of them was between its first and its last word with the server. */
interface RunSamples {
  whole: number[];
  server: number[];
}

/** An image that is there, run to its end and removed by both clients against one socket. */
async function benchRun({ stack, image }: BenchStack, runs: number): Promise<void> {
  await using socket = await meterSocket(stack.socket);
  const env = { ...process.env, LONGSHORE_SOCKET: socket.path };
  const ctr = new Ctr(socket.path);
  const clients: Record<string, (id: string) => Promise<unknown>> = {
    longshore: (id) => {
      const args = [PROGRAM, 'run', '--rm', '--name', id, image, '/bin/true'];
      return promisify(execFile)(process.execPath, args, { env });
    },
    ctr: (id) => ctr.ok(['run', '--rm', image, id, '/bin/true']),
  };
  const samples = new Map(
    Object.keys(clients).map((name): [string, RunSamples] => [name, { whole: [], server: [] }]),
  );
  for (let round = -WARM_UPS; round < runs; round++) {
    for (const [name, run] of Object.entries(clients)) {
      const beganMs = performance.now();
      await run(`${name}-${round + WARM_UPS}`);
      const tookMs = performance.now() - beganMs;
      const serverMs = socket.take();
      if (round < 0) continue;
      samples.get(name)!.whole.push(tookMs);
      samples.get(name)!.server.push(serverMs);
    }
  }
  console.log(`run --rm of an image that is there, ${runs} runs of each:`);
  const [ours, theirs] = [...samples].map(([name, { whole, server }]) => {
    const own = whole.map((wholeMs, n) => wholeMs - server[n]!);
    console.log(`  ${`${name}, its own start and end`.padEnd(34)} ${formatTimings(timingsOf(own))}`);
    console.log(`  ${`${name}, with the server`.padEnd(34)} ${formatTimings(timingsOf(server))}`);
    return timingsOf(server).median;
  }) as [number, number];
  printBar(
    `longshore run, with the server, ≤ ${MAX_RUN_RATIO}× ctr run`,
    `${ours.toFixed(0)} ms, ctr ${theirs.toFixed(0)} ms, ratio ${(ours / theirs).toFixed(2)}`,
    ours <= MAX_RUN_RATIO * theirs,
  );
}
