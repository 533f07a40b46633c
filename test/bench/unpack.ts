import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guard, pushImage } from '@longshore/local';
import type { Ctr } from '../harness/ctr.ts';
import { startServer } from '../harness/global-setup.ts';
import { startContainerd } from '../harness/peer-containerd.ts';
import { startStack } from '../harness/stack.ts';
import { transferImage } from '../harness/transfer.ts';
import { printBar } from './bar.ts';
import { formatTimings, type Timings, timingsOf } from './statistics.ts';
import { becomeCold } from './unpack/cold.ts';
import { igzipToTar } from './unpack/igzip-to-tar.ts';
import { benchImage } from './unpack/image.ts';
import { type BenchLayer, makeBenchLayers } from './unpack/layers.ts';
import { PeakMemory } from './unpack/peak-memory.ts';

const MAX_OF_CONTAINERD = 0.7;
const MAX_OF_TAR = 1.4;
const MAX_OF_CONTAINERD_BY_APPLY = 1.0;
const MAX_AGENT_MEGABYTES = 350;
const MEGABYTE = 1e6;

/** One way to get the layers, which are stored already, onto the disk. */
interface Way {
  name: string;
  /** Makes it forget what it has, then stores the bytes anew; not counted. */
  prepare(): Promise<void>;
  unpack(): Promise<void>;
  samples: number[];
}

/**
 * Prints how long the layers of a large image take to become snapshots, by the agent's own unpack and by `ctr image pull`,
 * beside Debian's containerd, and `igzip -dc | tar x` for what the machine can do.
 */
export async function benchUnpack(runs: number): Promise<void> {
  const tearDown = await startServer({ durable: true });
  const directory = await mkdtemp(join(tmpdir(), 'longshore-bench-unpack-'));
  guard().removeWithUs(directory);
  try {
    await using stack = await startStack({ env: { LONGSHORE_LOG_LEVEL: 'info' } });
    await using peer = await startContainerd();
    const layers = await makeBenchLayers();
    const reference = await pushImage(stack.registry.host, 'bench/unpack', '1', benchImage(layers));
    const files = await writeLayers(layers, directory);
    describeImage(layers);

    const memory = new PeakMemory(stack.services.pid('agent'));
    const pull = (ctr: Ctr) => ctr.ok(['image', 'pull', '--plain-http', reference], { timeoutMs: 240_000 });
    const trash = join(stack.root, 'snapshots/overlayfs/.trash');
    const byCtr = (name: string, ctr: Ctr): Way => ({
      name,
      prepare: () => becomeCold(ctr, reference, ctr === stack.ctr ? trash : undefined),
      unpack: async () => void (await pull(ctr)),
      samples: [],
    });
    const own: Way = {
      name: 'longshore, all layers at once',
      prepare: () => becomeCold(stack.ctr, reference, trash),
      unpack: () => memory.during(() => transferImage(stack.socket, reference)),
      samples: [],
    };
    const byApply = byCtr('longshore, ctr image pull', stack.ctr);
    const containerd = byCtr('containerd, ctr image pull', peer.ctr);
    const tar: Way = { name: 'igzip -dc | tar x', ...igzipToTar(files, directory), samples: [] };
    await measure([own, byApply, containerd, tar], runs);

    const of = (way: Way): Timings => timingsOf(way.samples);
    for (const way of [own, byApply, containerd, tar])
      console.log(`  ${way.name.padEnd(30)} ${formatTimings(of(way))}`);
    const bar = (what: string, way: Way, base: Way, most: number) => {
      const ratio = of(way).median / of(base).median;
      printBar(`${what} ≤ ${most.toFixed(1)} × ${base.name}`, ratio.toFixed(2), ratio <= most);
    };
    bar('all layers at once', own, containerd, MAX_OF_CONTAINERD);
    bar('all layers at once', own, tar, MAX_OF_TAR);
    bar('ctr image pull', byApply, containerd, MAX_OF_CONTAINERD_BY_APPLY);
    const peak = memory.megabytes;
    printBar(
      `agent's memory ≤ ${MAX_AGENT_MEGABYTES} MB`,
      `${peak.toFixed(0)} MB`,
      peak <= MAX_AGENT_MEGABYTES,
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
    await tearDown();
  }
}

/** The first round is not counted. */
async function measure(ways: readonly Way[], runs: number): Promise<void> {
  for (let n = 0; n <= runs; n++) {
    for (const way of ways) {
      await way.prepare();
      const began = performance.now();
      await way.unpack();
      if (n > 0) way.samples.push(performance.now() - began);
    }
  }
}

async function writeLayers(layers: readonly BenchLayer[], directory: string): Promise<string[]> {
  return Promise.all(
    layers.map(async ({ bytes }, n) => {
      const path = join(directory, `${n}.tar.gz`);
      await writeFile(path, bytes);
      return path;
    }),
  );
}

function describeImage(layers: readonly BenchLayer[]): void {
  const sum = (of: (layer: BenchLayer) => number) => layers.reduce((total, layer) => total + of(layer), 0);
  const stored = sum(({ bytes }) => bytes.length) / MEGABYTE;
  const unpacked = sum(({ archiveBytes }) => archiveBytes) / MEGABYTE;
  console.log(
    `unpack: ${layers.length} layers, ${sum(({ files }) => files)} files, ${stored.toFixed(0)} MB, unpacked ${unpacked.toFixed(0)} MB`,
  );
}
