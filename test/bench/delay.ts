import { makeBusyboxImage, pushImage } from '@longshore/local';
import type { Ctr } from '../harness/ctr.ts';
import { startFleet } from '../harness/fleet.ts';
import { usePrograms } from '../harness/global-setup.ts';
import { startContainerd } from '../harness/peer-containerd.ts';
import { formatTimings, timingsOf } from './statistics.ts';

export interface DelayOptions {
  /** Counted runs on each side. */
  runs: number;
  warmUpRounds: number;
  /** Of the link between the node and the control plane, each way. */
  delayMs: number;
}

interface Side {
  name: string;
  ctr: Ctr;
  image: string;
}

/** Prints what `ctr run` takes on a node that is far from its control plane, beside a containerd of this machine. */
export async function benchDelay({ runs, warmUpRounds, delayMs }: DelayOptions): Promise<void> {
  await usePrograms();
  await using fleet = await startFleet({ nodes: 1, replicas: 2, delayMs, durable: true });
  await using peer = await startContainerd();
  const image = await makeBusyboxImage();
  const { outside } = fleet.local;
  const [node] = fleet.nodes;
  const sides: Side[] = [
    { name: 'longshore', ctr: node!.ctr, image: await fleet.push('bench/busybox', '1', image) },
    {
      name: 'containerd',
      ctr: peer.ctr,
      image: await pushImage(outside.address('registry'), 'bench/busybox', '1', image),
    },
  ];
  for (const side of sides) await side.ctr.ok(['image', 'pull', '--plain-http', side.image]);

  const samples = sides.map((): number[] => []);
  for (let n = 0; n < warmUpRounds + runs; n++) {
    for (const [i, { ctr, image: reference }] of sides.entries()) {
      const started = performance.now();
      await ctr.ok(['run', '--rm', reference, `run-${n}`, 'true']);
      if (n >= warmUpRounds) samples[i]!.push(performance.now() - started);
    }
  }
  console.log(`ctr run --rm IMAGE true, ${runs} runs, ${delayMs} ms each way to the control plane:`);
  const timings = samples.map(timingsOf);
  for (const [i, { name }] of sides.entries())
    console.log(`  ${name.padEnd(10)} ${formatTimings(timings[i]!)}`);
  console.log(`  ratio      ${(timings[0]!.median / timings[1]!.median).toFixed(2)}`);
}
