import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { REPOSITORY } from '../architecture/sources.ts';
import { printBar } from './bar.ts';
import { startBenchStack } from './sides.ts';
import { formatTimings, timingsOf } from './statistics.ts';

const PROGRAM = join(REPOSITORY, 'packages/cli/bin/longshore.mjs');
const MAX_VERSION_MS = 120;

/** Until the compile cache is warm. */
const WARM_UPS = 3;

export interface CliOptions {
  runs: number;
}

/** Prints how long short commands take as whole processes, beside a Node that does nothing. */
export async function benchCli({ runs }: CliOptions): Promise<void> {
  await using started = await startBenchStack();
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
