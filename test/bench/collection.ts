import { setTimeout as delay } from 'node:timers/promises';
import { Header } from '@longshore/proto/headers';
import { CollectorService } from '@longshore/proto/longshore/content/v1/collector';
import { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { Channel, createClient } from '@longshore/rpc';
import { RECORDS_PER_IMAGE, SeededScope } from './collection/seed.ts';
import { Writers } from './collection/writers.ts';
import { startControlPlane } from './scale/control-plane.ts';
import { printMachine } from './scale/costs.ts';
import { formatLatency, latencyIn } from './scale/latency.ts';

export interface CollectionOptions {
  /** In the scope, about. */
  objects: number;
  /** How long the same calls are measured without a collection. */
  seconds: number;
}

const SCOPE = { namespace: 'default', node: 'n1' };
/** No call may wait longer for a collection. */
const BAR_MS = 200;
const WARM_UP_MS = 3_000;

/**
 * Prints how long collections of a large scope take, one that removes half of it and one that finds nothing, and how long calls
 * that write into the same scope take meanwhile. Throws when one takes longer than the bar.
 */
export async function benchCollection({ objects, seconds }: CollectionOptions): Promise<void> {
  await using plane = await startControlPlane();
  printMachine();
  using undo = new DisposableStack();
  const channel = undo.adopt(new Channel(plane.address('content')), (opened) => opened.close());
  const collector = createClient(CollectorService, channel);
  const headers = { [Header.Namespace]: SCOPE.namespace, [Header.Node]: SCOPE.node };
  await registerNode(plane.address('runtime'));
  await using scope = new SeededScope(plane.databaseUrl, SCOPE);
  await scope.fill(Math.round(objects / RECORDS_PER_IMAGE));
  console.log(`${await scope.count()} records in one scope`);

  await using writers = new Writers(plane.state, SCOPE);
  await delay(WARM_UP_MS);
  await writers.take();
  await delay(seconds * 1000);
  print('without a collection', await writers.take());

  const slow: string[] = [];
  await scope.removeHalf();
  for (const what of ['a collection of the garbage', 'a collection that finds nothing']) {
    const before = await scope.count();
    await writers.take();
    const began = performance.now();
    await collector.collect({ wait: true }, { headers });
    const took = secondsSince(began);
    const samples = await writers.take();
    const after = await scope.count();
    console.log(`${what}: ${took} s, from ${before} to ${after} records`);
    slow.push(...print(`during ${what}`, samples));
  }
  if (slow.length > 0) throw new Error(`took longer than ${BAR_MS} ms: ${slow.join(', ')}`);
}

/** Answers the calls that took too long. */
function print(when: string, samples: Record<string, number[]>): string[] {
  console.log(`  ${when}:`);
  return Object.entries(samples).flatMap(([name, samplesMs]) => {
    const latency = latencyIn(samplesMs);
    console.log(
      `    ${name.padEnd(18)} ${String(samplesMs.length).padStart(6)} calls, ${formatLatency(latency)}`,
    );
    return latency.max > BAR_MS ? [name] : [];
  });
}

async function registerNode(address: string): Promise<void> {
  using undo = new DisposableStack();
  const channel = undo.adopt(new Channel(address), (opened) => opened.close());
  await createClient(NodeService, channel).register({
    node: {
      id: SCOPE.node,
      address: 'unix:///run/none.sock',
      hostname: SCOPE.node,
      snapshotters: ['overlayfs'],
    },
  });
}

function secondsSince(started: number): string {
  return ((performance.now() - started) / 1000).toFixed(1);
}
