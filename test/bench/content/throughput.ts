import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { timingsOf } from '../statistics.ts';
import { writeRandomFile } from './random-file.ts';
import { runCtr, type Side } from './sides.ts';

export interface ThroughputOptions {
  megabytes: number;
  /** Counted runs on each side. */
  runs: number;
  /** For the files that are sent. */
  directory: string;
}

/** What one side took, in milliseconds, of each run. */
interface Samples {
  ingest: number[];
  get: number[];
}

/** Times `ctr content ingest` and `ctr content get` of one large blob; both sides sync what they commit. */
export async function benchThroughput(
  sides: readonly Side[],
  { megabytes, runs, directory }: ThroughputOptions,
): Promise<void> {
  const samples = sides.map((): Samples => ({ ingest: [], get: [] }));
  const file = join(directory, 'blob');
  for (let n = 0; n <= runs; n++) {
    // Another one each time: a blob that is stored already is not sent.
    const digest = await writeRandomFile(file, megabytes);
    for (const [i, side] of sides.entries()) {
      const ingest = await timeIngest(side, file, `bench-${n}`, digest);
      const get = await timeGet(side, digest);
      if (n === 0) await verify(side, digest, join(directory, 'got'));
      else {
        samples[i]!.ingest.push(ingest);
        samples[i]!.get.push(get);
      }
    }
  }
  await rm(file);
  for (const what of ['ingest', 'get'] as const) print(what, sides, samples, megabytes);
}

function print(
  what: keyof Samples,
  sides: readonly Side[],
  samples: readonly Samples[],
  megabytes: number,
): void {
  console.log(`ctr content ${what} of ${megabytes} MB; load ${loadavg()[0]!.toFixed(1)}:`);
  const rates = samples.map((each) => (megabytes * 1000) / timingsOf(each[what]).median);
  for (const [i, { name }] of sides.entries()) {
    const { min, max } = timingsOf(samples[i]![what]);
    const range = `(${((megabytes * 1000) / max).toFixed(0)} to ${((megabytes * 1000) / min).toFixed(0)})`;
    console.log(`  ${name.padEnd(10)} ${rates[i]!.toFixed(0)} MB/s ${range}`);
  }
  console.log(`  ratio      ${(rates[0]! / rates[1]!).toFixed(2)} (bar: 0.90 or more)`);
}

async function timeIngest(side: Side, file: string, ref: string, digest: string): Promise<number> {
  await using stdin = await open(file, 'r');
  const started = performance.now();
  await runCtr(side, ['content', 'ingest', '--expected-digest', digest, ref], { stdin: stdin.fd });
  return performance.now() - started;
}

async function timeGet(side: Side, digest: string): Promise<number> {
  await using nowhere = await open('/dev/null', 'w');
  const started = performance.now();
  await runCtr(side, ['content', 'get', digest], { stdout: nowhere.fd });
  return performance.now() - started;
}

async function verify(side: Side, digest: string, path: string): Promise<void> {
  await using stdout = await open(path, 'w');
  await runCtr(side, ['content', 'get', digest], { stdout: stdout.fd });
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  await rm(path);
  const got = `sha256:${hash.digest('hex')}`;
  if (got !== digest) throw new Error(`${side.name}: ${digest} came back as ${got}`);
}
