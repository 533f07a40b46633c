import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Header } from '@longshore/proto/headers';
import { Channel, createClient, type ServiceClient } from '@longshore/rpc';
import { startServer } from '../harness/global-setup.ts';
import { startContainerd } from '../harness/peer-containerd.ts';
import { startStack } from '../harness/stack.ts';
import { atOnce } from './at-once.ts';
import { printBar } from './bar.ts';
import { timingsOf } from './statistics.ts';

export interface SnapshotsOptions {
  /** Counted rounds of Prepare, Mounts and Remove on each side. */
  rounds: number;
  /** In the scope, at the end. */
  snapshots: number;
}

const MAX_ROUND_RATIO = 2.5;
const MAX_GROWTH = 2;
const WARM_UP_ROUNDS = 100;
/** In the scope, at first: what the times at the end are compared with. */
const FEW = 100;
/** How many of them a list finds, few or many as there are: so many have the label. */
const FOUND = 10;
const READS = 300;
const AT_ONCE = 16;

const snapshotter = 'overlayfs';
const LABEL = 'bench/found';
const options = { headers: { [Header.Namespace]: 'bench' } };

type Client = ServiceClient<typeof Snapshots>;

/** Times the calls of a container's rootfs beside a containerd, by the same client, and reads as the scope grows. */
export async function benchSnapshots({ rounds, snapshots }: SnapshotsOptions): Promise<void> {
  await using undo = new AsyncDisposableStack();
  undo.defer(await startServer({ durable: true }));
  const stack = undo.use(await startStack({ env: { LONGSHORE_LOG_LEVEL: 'warn' } }));
  // What no root leads to is to stay, on either side.
  const peer = undo.use(await startContainerd({ collects: false }));
  const sides = [stack.socket, peer.socket].map((socket) =>
    createClient(
      Snapshots,
      undo.adopt(new Channel(`unix://${socket}`), (channel) => channel.close()),
    ),
  );
  for (const client of sides) await fill(client, 0, FEW);
  await compareRounds(sides, rounds);

  const few: ReadTimes[] = [];
  for (const client of sides) few.push(await timeReads(client));
  for (const client of sides) await fill(client, FEW, snapshots);
  const many: ReadTimes[] = [];
  for (const client of sides) many.push(await timeReads(client));
  for (const what of ['stat', 'list'] as const) {
    const [ours, theirs] = [0, 1].map((n) => many[n]![what] / few[n]![what]);
    console.log(
      `${what} (p50): longshore ${few[0]![what].toFixed(2)} ms at ${FEW}, ${many[0]![what].toFixed(2)} ms at ${snapshots};`,
    );
    console.log(
      `  containerd ${few[1]![what].toFixed(2)} and ${many[1]![what].toFixed(2)} ms, ${theirs!.toFixed(2)} times`,
    );
    printBar(
      `${what} at ${snapshots} ≤ ${MAX_GROWTH} × its time at ${FEW}`,
      ours!.toFixed(2),
      ours! <= MAX_GROWTH,
    );
  }
  for (const [n, name] of ['longshore', 'containerd'].entries()) {
    console.log(`all ${snapshots} listed by ${name}: ${many[n]!.all.toFixed(0)} ms`);
  }
}

/** Committed layers on one another's base, of which the first few have the label. */
async function fill(client: Client, from: number, to: number): Promise<void> {
  if (from === 0) await layer(client, 'base', '', {});
  await atOnce(AT_ONCE, to - from, (i) => {
    const n = from + i;
    const labels: Record<string, string> = n < FOUND ? { [LABEL]: 'yes' } : { other: String(n) };
    return layer(client, nameOf(n), 'base', labels);
  });
}

async function layer(
  client: Client,
  name: string,
  parent: string,
  labels: Record<string, string>,
): Promise<void> {
  const kept = { 'containerd.io/gc.root': 'yes', ...labels };
  await client.prepare({ snapshotter, key: `${name}-key`, parent, labels: kept }, options);
  await client.commit({ snapshotter, key: `${name}-key`, name, labels: kept }, options);
}

/** The sides take turns, so that a machine that slows down slows both. */
async function compareRounds(sides: readonly Client[], rounds: number): Promise<void> {
  const samples = sides.map((): number[] => []);
  for (let n = 0; n < WARM_UP_ROUNDS + rounds; n++) {
    for (const [i, client] of sides.entries()) {
      const request = { snapshotter, key: `rootfs-${n}` };
      const began = performance.now();
      await client.prepare({ ...request, parent: 'base' }, options);
      await client.mounts(request, options);
      await client.remove(request, options);
      if (n >= WARM_UP_ROUNDS) samples[i]!.push(performance.now() - began);
    }
  }
  const [ours, theirs] = samples.map((one) => timingsOf(one).median);
  console.log(
    `Prepare, Mounts, Remove (p50 of ${rounds}): longshore ${ours!.toFixed(2)} ms, containerd ${theirs!.toFixed(2)} ms`,
  );
  const ratio = ours! / theirs!;
  printBar(`≤ ${MAX_ROUND_RATIO} × containerd's`, ratio.toFixed(2), ratio <= MAX_ROUND_RATIO);
}

interface ReadTimes {
  stat: number;
  /** Of the same few, by a label. */
  list: number;
  all: number;
}

async function timeReads(client: Client): Promise<ReadTimes> {
  const stat = await timed(READS, async (n) => {
    await client.stat({ snapshotter, key: nameOf(n % FEW) }, options);
  });
  const list = await timed(READS, async () => {
    const found = await count(client, [`labels."${LABEL}"==yes`]);
    if (found !== FOUND) throw new Error(`${found} snapshots have the label`);
  });
  const all = await timed(5, async () => void (await count(client, [])));
  return { stat, list, all };
}

async function timed(calls: number, call: (n: number) => Promise<void>): Promise<number> {
  const samples: number[] = [];
  for (let n = 0; n < calls; n++) {
    const began = performance.now();
    await call(n);
    samples.push(performance.now() - began);
  }
  return timingsOf(samples).median;
}

async function count(client: Client, filters: string[]): Promise<number> {
  let found = 0;
  for await (const { info } of client.list({ snapshotter, filters }, options)) found += info.length;
  return found;
}

function nameOf(n: number): string {
  return `layer-${n}`;
}
