import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { SERVICE_NAMES } from '@longshore/local';
import type { Ctr } from '../harness/ctr.ts';
import { residentMegabytes } from '../harness/resident-memory.ts';
import { atOnce } from './at-once.ts';
import { benchCli } from './cli.ts';
import { benchCollection } from './collection.ts';
import { benchConnections } from './connections.ts';
import { benchContent, CONTENT_STEPS } from './content.ts';
import { benchDelay } from './delay.ts';
import { benchDensity } from './density.ts';
import { benchEdge } from './edge.ts';
import { benchExits } from './exit-latency.ts';
import { benchHttpList } from './http-list.ts';
import { benchScale } from './scale.ts';
import { type Side, startSides } from './sides.ts';
import { benchSnapshots } from './snapshots.ts';
import { formatTimings, timingsOf } from './statistics.ts';
import { benchTasks } from './tasks.ts';
import { benchUnpack } from './unpack.ts';

const HELP = `Usage: npm run bench -- [PART...] [options]

Parts, all when none is named. Any failed step makes it fail.
  compare         Does the same work with the same client (Debian's ctr) against longshore and against a containerd,
                  in turn, and prints both with the ratio.
  cli             Runs short commands of longshore as whole processes, and run beside ctr run.
  tasks           Runs a container to its end by ctr, alone and four at once, beside a containerd: the bars of both.
  density         Has many containers at once: the agent's memory, and how soon a new agent knows them.
  exits           How long after its end a process's exit event is with a subscriber of NATS.
  delay           Compares ctr run on a node of a fleet, whose link to the control plane is slow, with a containerd's.
  content         Writes, reads and lists content through the node socket, beside a containerd.
  scale           Simulates a fleet, and prints what its nodes cost each service, and how long lists take.
  http-list       Asks the HTTP API for pages of 100 among many containers of many nodes.
  connections     Holds many idle connections to the gateway, and prints what they cost it and those that are busy.
  edge            What the gateway adds to a call with TLS and authorisation, and what it leaves of a large read.
  snapshots       Makes and removes snapshots beside a containerd, and reads them as there come to be many: the bars.
  unpack          Unpacks a large image whose bytes are stored, beside a containerd and igzip with tar.
  collection      Collects a large scope while others write into it, and prints how long both take.

Options:
  --runs N        cli, compare, delay, tasks: counted repetitions of each step (default 30), after 5 that are not counted
  --cpu           tasks: prints what each process takes of the CPU for a run, too
  --delay MS      delay: of the link, each way (default 5)
  --settle S      compare, density: seconds between the last step and the reading of memory (default 60; density 15)
  --containers N  density: how many (default 300)
  --exits N       exits: how many (default 100)
  --idle S        exits: seconds without work before the first (default 60)
  --steps S,...   content: of ${CONTENT_STEPS.join(', ')} (default all)
  --megabytes N   content, edge: of the blob that is read (default 1000), three times and once before
  --records N     content: that lists look at (default 100000)
  --nodes N,...   scale: numbers of nodes, growing (default 0,250,500,1000); each has 20 containers
  --seconds S     scale: for how long the cost at each number of nodes is measured (default 60); collection: calls
                  without a collection; connections: at each number
  --lists N       scale: how often each list is asked for (default 200)
  --fleet N       http-list: nodes, which share 100,000 containers (default 100)
  --calls N       edge, http-list: of each kind (default 1000)
  --idle-ones N   connections: how many are idle (default 5000), beside 200 busy ones
  --unpacks N     unpack: counted rounds (default 5)
  --objects N     collection: records in the scope (default 100000)
  --rounds N      snapshots: of Prepare, Mounts and Remove (default 1000)
  --layers N      snapshots: in the scope at last (default 10000)
  --help          this text
`;

const CONTAINERS_PER_NODE = 20;
const CONTENT_RUNS = 3;

/** Rounds that are not counted: a fresh process is not what a fleet runs on, on either side. */
const WARM_UP_ROUNDS = 5;

/** One piece of work, done once on one side; \`n\` is never used twice. */
interface Step {
  name: string;
  work(ctr: Ctr, n: number): Promise<unknown>;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '30' },
    cpu: { type: 'boolean', default: false },
    delay: { type: 'string', default: '5' },
    settle: { type: 'string' },
    containers: { type: 'string', default: '300' },
    exits: { type: 'string', default: '100' },
    idle: { type: 'string', default: '60' },
    steps: { type: 'string', default: CONTENT_STEPS.join(',') },
    megabytes: { type: 'string', default: '1000' },
    records: { type: 'string', default: '100000' },
    nodes: { type: 'string', default: '0,250,500,1000' },
    seconds: { type: 'string', default: '60' },
    lists: { type: 'string', default: '200' },
    fleet: { type: 'string', default: '100' },
    calls: { type: 'string', default: '1000' },
    'idle-ones': { type: 'string', default: '5000' },
    unpacks: { type: 'string', default: '5' },
    objects: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '1000' },
    layers: { type: 'string', default: '10000' },
    help: { type: 'boolean', default: false },
  },
});
const PARTS: Record<string, () => Promise<void>> = {
  compare: () => bench(Number(values.runs), Number(values.settle ?? 60)),
  cli: () => benchCli({ runs: Number(values.runs) }),
  tasks: () => benchTasks({ runs: Number(values.runs), warmUpRounds: WARM_UP_ROUNDS, cpu: values.cpu }),
  density: () =>
    benchDensity({ containers: Number(values.containers), settleS: Number(values.settle ?? 15) }),
  exits: () => benchExits({ exits: Number(values.exits), idleS: Number(values.idle) }),
  delay: () =>
    benchDelay({
      runs: Number(values.runs),
      warmUpRounds: WARM_UP_ROUNDS,
      delayMs: Number(values.delay),
    }),
  content: () =>
    benchContent({
      steps: values.steps.split(','),
      megabytes: Number(values.megabytes),
      runs: CONTENT_RUNS,
      records: Number(values.records),
    }),
  scale: () =>
    benchScale({
      steps: values.nodes.split(',').map(Number),
      containersPerNode: CONTAINERS_PER_NODE,
      seconds: Number(values.seconds),
      lists: Number(values.lists),
    }),
  'http-list': () =>
    benchHttpList({ containers: 100_000, nodes: Number(values.fleet), calls: Number(values.calls) }),
  connections: () => benchConnections({ idle: Number(values['idle-ones']), seconds: Number(values.seconds) }),
  edge: () =>
    benchEdge({ calls: Number(values.calls), megabytes: Number(values.megabytes), runs: CONTENT_RUNS }),
  snapshots: () => benchSnapshots({ rounds: Number(values.rounds), snapshots: Number(values.layers) }),
  unpack: () => benchUnpack(Number(values.unpacks)),
  collection: () => benchCollection({ objects: Number(values.objects), seconds: Number(values.seconds) }),
};

if (values.help) process.stdout.write(HELP);
else await runParts(positionals.length > 0 ? positionals : Object.keys(PARTS));

async function runParts(names: readonly string[]): Promise<void> {
  const unknown = names.find((name) => !Object.hasOwn(PARTS, name));
  if (unknown !== undefined) throw new Error(`unknown part "${unknown}"`);
  for (const name of names) await PARTS[name]!();
}

async function bench(runs: number, settleS: number): Promise<void> {
  await using started = await startSides();
  const { stack, sides, image } = started;
  for (const step of stepsFor(image)) await compare(step, sides, runs);

  console.log(`resident memory of each service, ${settleS} s later:`);
  await delay(settleS * 1000);
  for (const name of SERVICE_NAMES) {
    console.log(`  ${name.padEnd(10)} ${residentMegabytes(stack.services.pid(name)).toFixed(0)} MB`);
  }
}

function stepsFor(image: string): Step[] {
  return [
    { name: 'ctr version', work: (ctr) => ctr.ok(['version']) },
    { name: 'ctr run --rm IMAGE true', work: (ctr, n) => ctr.ok(['run', '--rm', image, `run-${n}`, 'true']) },
    {
      name: 'ctr image pull (stored already)',
      work: (ctr) => ctr.ok(['image', 'pull', '--plain-http', image]),
    },
    {
      name: '10 x ctr run --rm at once',
      work: (ctr, n) => atOnce(10, 10, (i) => runOnce(ctr, image, `many-${n}-${i}`)),
    },
  ];
}

function runOnce(ctr: Ctr, image: string, id: string): Promise<string> {
  return ctr.ok(['run', '--rm', image, id, 'true']);
}

/** The sides take turns, so that a machine that slows down slows both. */
async function compare(step: Step, sides: Side[], runs: number): Promise<void> {
  const samples = sides.map((): number[] => []);
  for (let n = 0; n < WARM_UP_ROUNDS + runs; n++) {
    for (const [i, side] of sides.entries()) {
      const started = performance.now();
      await step.work(side.ctr, n);
      if (n >= WARM_UP_ROUNDS) samples[i]!.push(performance.now() - started);
    }
  }
  console.log(`${step.name}, ${runs} runs:`);
  const timings = samples.map(timingsOf);
  for (const [i, { name }] of sides.entries())
    console.log(`  ${name.padEnd(10)} ${formatTimings(timings[i]!)}`);
  console.log(`  ratio      ${(timings[0]!.median / timings[1]!.median).toFixed(2)}`);
}
