import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Header } from '@longshore/proto/headers';
import { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { Channel, createClient, type ServiceClient } from '@longshore/rpc';
import { printBar } from './bar.ts';
import { writeRandomFile } from './content/random-file.ts';
import { runCtr } from './content/sides.ts';
import { timeRead } from './edge/read-blob.ts';
import { startSecuredGateway } from './edge/secured-gateway.ts';
import { latencyIn, WARM_UP_CALLS } from './scale/latency.ts';
import { usageOf } from './scale/usage.ts';
import { startBenchStack } from './sides.ts';
import { timingsOf } from './statistics.ts';

const NAMESPACE = 'default';
const RAW_BAR_MS = 0.4;
const DECODED_BAR_MS = 0.8;
const READ_BAR = 0.9;
/** A process that has just begun is not what callers meet. */
const WARM_UP_ROUNDS = 50 * WARM_UP_CALLS;

export interface EdgeOptions {
  calls: number;
  megabytes: number;
  runs: number;
}

type Call = (images: ServiceClient<typeof Images>) => Promise<unknown>;

/** Prints what the gateway adds to a call, with TLS, a certificate and its role, and what it leaves of a large read. */
export async function benchEdge({ calls, megabytes, runs }: EdgeOptions): Promise<void> {
  await using started = await startBenchStack();
  const { stack } = started;
  await using gateway = await startSecuredGateway(stack, NAMESPACE);
  await using undo = new AsyncDisposableStack();
  const channel = (...args: ConstructorParameters<typeof Channel>) =>
    undo.adopt(new Channel(...args), (opened) => opened.close());
  const direct = createClient(Images, channel(`unix://${stack.state}/image.sock`));
  const edge = createClient(Images, channel(gateway.address, gateway.tls));
  const scope = { headers: { [Header.Namespace]: NAMESPACE } };
  const target = { mediaType: 'application/octet-stream', digest: `sha256:${'0'.repeat(64)}`, size: 1n };
  const image = { name: 'bench', target, labels: { a: 'b' } };
  await direct.create({ image }, scope);
  const sides = [direct, edge];
  const { pid } = gateway;
  await compare('a read (Images/Get), passed on raw', { sides, pid }, calls, RAW_BAR_MS, (images) =>
    images.get({ name: 'bench' }, scope),
  );
  await compare(
    'a change (Images/Update), decoded and audited',
    { sides, pid },
    calls,
    DECODED_BAR_MS,
    (images) => images.update({ image, updateMask: { paths: ['labels'] } }, scope),
  );

  const file = join(stack.root, 'blob');
  const digest = await writeRandomFile(file, megabytes);
  await using stdin = await open(file, 'r');
  await runCtr(
    { name: 'node', socket: stack.socket },
    ['content', 'ingest', '--expected-digest', digest, 'b'],
    {
      stdin: stdin.fd,
    },
  );
  await rm(file);
  const runtime = channel(`unix://${stack.state}/runtime.sock`);
  const { nodes } = await createClient(NodeService, runtime).list({});
  const node = nodes[0]?.id ?? '';
  const socket = { address: `unix://${stack.socket}`, headers: scope.headers };
  const secured = { ...gateway, headers: { ...scope.headers, [Header.Node]: node } };
  const samples: [number[], number[]] = [[], []];
  const before = usageOf(gateway.pid).cpuSeconds;
  for (let n = 0; n <= runs; n++) {
    for (const [i, source] of [socket, secured].entries()) {
      const tookMs = await timeRead(source, digest, megabytes * 1_000_000);
      if (n > 0) samples[i]!.push(tookMs);
    }
  }
  const cpuSeconds = (usageOf(gateway.pid).cpuSeconds - before) / (runs + 1);
  const [near, far] = samples.map((each) => (megabytes * 1000) / timingsOf(each).median) as [number, number];
  const rates = `node socket ${near.toFixed(0)} MB/s, edge with TLS ${far.toFixed(0)} MB/s, ratio ${(far / near).toFixed(2)}; the gateway takes ${cpuSeconds.toFixed(1)} s CPU`;
  printBar(`Content/Read of ${megabytes} MB`, `${rates} (bar: ${READ_BAR})`, far / near >= READ_BAR);
}

/** The sides take turns, so that a machine that slows down slows both. */
async function compare(
  what: string,
  { sides, pid }: { sides: ServiceClient<typeof Images>[]; pid: number },
  calls: number,
  barMs: number,
  call: Call,
): Promise<void> {
  const samples: number[][] = sides.map(() => []);
  const before = usageOf(pid).cpuSeconds;
  for (let n = 0; n < WARM_UP_ROUNDS + calls; n++) {
    for (const [i, side] of sides.entries()) {
      const startedMs = performance.now();
      await call(side);
      if (n >= WARM_UP_ROUNDS) samples[i]!.push(performance.now() - startedMs);
    }
  }
  const cpuMs = ((usageOf(pid).cpuSeconds - before) * 1000) / (WARM_UP_ROUNDS + calls);
  const [near, far] = samples.map(latencyIn);
  const added = far!.p50 - near!.p50;
  const told = `p50 ${near!.p50.toFixed(2)} ms at its service, ${far!.p50.toFixed(2)} ms at the edge; p99 ${near!.p99.toFixed(2)} and ${far!.p99.toFixed(2)}; the gateway takes ${cpuMs.toFixed(2)} ms CPU`;
  printBar(what, `adds ${added.toFixed(2)} ms (bar: ${barMs}); ${told}`, added <= barMs);
}
