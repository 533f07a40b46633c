import { setTimeout as delay } from 'node:timers/promises';
import { waitUntil } from '../../harness/wait-until.ts';
import { makeBlobs } from './blobs.ts';
import { History } from './history.ts';
import { Random } from './random.ts';
import { RandomClient, Violation } from './random-client.ts';
import { ScopeState } from './scope-state.ts';
import { headersOf, type Scope, type StoredObjects, World, type WorldOptions } from './world.ts';

const SCOPES: readonly Scope[] = [
  { namespace: 'default', node: 'n1' },
  { namespace: 'other', node: 'n1' },
  { namespace: 'default', node: 'n2' },
];
const SHARED_BLOBS = 14;
const OWN_BLOBS = 5;
/** For the bytes of what was collected to go; a leader that was killed is followed after ten seconds. */
const BYTES_DEADLINE_MS = 90_000;
/** For what no crash has left. */
const BYTES_SOON_MS = 5_000;
const KILLED = ['content', 'image', 'snapshot', 'runtime'] as const;
const KILL_PAUSE_MS = 4_000;

export interface PropertyOptions extends WorldOptions {
  seed: number;
  clients: number;
  /** After each, everything is quiet, collected and compared. */
  rounds: number;
  stepsPerRound: number;
  /** Services are killed meanwhile. */
  isRough?: boolean;
}

/**
 * Clients do random things with real services, while collections come and go. Throws, with what was done about it, when something
 * that a client was entitled to find is missing or wrong, or when something is left that nothing leads to.
 */
export async function checkCollectionProperty(options: PropertyOptions): Promise<void> {
  const random = new Random(options.seed);
  const history = new History();
  await using world = await World.start(options);
  for (const node of new Set(SCOPES.map((scope) => scope.node))) await world.register(node);
  const clients = makeClients(world, history, random, options);
  try {
    for (let round = 0; round < options.rounds; round++) {
      await runRound(world, clients, random, options);
      await checkQuiet(world, clients);
    }
    await checkBytes(world);
  } catch (error) {
    const about = error instanceof Violation ? `\n${history.about(error.about)}` : '';
    throw new Error(`seed ${options.seed}, after ${history.length} steps: ${error}${about}`, {
      cause: error,
    });
  }
}

function makeClients(
  world: World,
  history: History,
  random: Random,
  { clients, isRough = false }: PropertyOptions,
): RandomClient[] {
  const shared = makeBlobs(random, named('shared', SHARED_BLOBS));
  return Array.from({ length: clients }, (_, index) => {
    const name = `client-${index}`;
    const own = makeBlobs(random, named(name, OWN_BLOBS), shared);
    const scope = SCOPES[index % SCOPES.length]!;
    return new RandomClient({ name, world, scope, random: random.fork(), history, shared, own, isRough });
  });
}

async function runRound(
  world: World,
  clients: readonly RandomClient[],
  random: Random,
  { stepsPerRound, isRough = false }: PropertyOptions,
): Promise<void> {
  const over = new AbortController();
  const killing = isRough ? killAtRandom(world, random, over.signal) : Promise.resolve();
  try {
    await Promise.all(
      clients.map(async (client) => {
        for (let step = 0; step < stepsPerRound && !over.signal.aborted; step++) await client.step();
      }),
    );
  } finally {
    over.abort();
    await killing;
  }
}

async function killAtRandom(world: World, random: Random, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    const name = random.pick(KILLED)!;
    await world.stack.services.kill(name);
    await world.stack.services.whenReady(name);
    await delay(random.whole(KILL_PAUSE_MS), undefined, { signal: over }).catch(() => undefined);
  }
}

/** Nobody changes anything: after a collection, what is reachable is all there, and nothing else. */
async function checkQuiet(world: World, clients: readonly RandomClient[]): Promise<void> {
  for (const scope of SCOPES) {
    await world.collector.collect({ wait: true }, headersOf(scope));
    const ingests = clients.filter((client) => client.scope === scope).flatMap((client) => client.ingests);
    const left = (await ScopeState.read(world, scope, ingests)).unreachable();
    if (left.length > 0) {
      throw new Violation(`left in ${scope.namespace} on ${scope.node}: ${left.join(', ')}`, left);
    }
  }
  for (const client of clients) await client.checkAll();
}

/** All bytes that nothing needs go, and no others: those of crashes, and of writers whose ingest went, when they are old. */
async function checkBytes(world: World): Promise<void> {
  let problem: string | undefined;
  const isRight = async () => {
    problem = difference(await world.stored(), await world.recorded());
    return problem === undefined;
  };
  if (await waitUntil(isRight, BYTES_SOON_MS)) return;
  await world.buryStrays();
  if (!(await waitUntil(isRight, BYTES_DEADLINE_MS))) throw new Error(problem);
}

function difference(stored: StoredObjects, recorded: StoredObjects): string | undefined {
  const wanted = new Set(recorded.blobs);
  const orphans = stored.blobs.filter(
    (digest, index) => !wanted.has(digest) || stored.blobs.indexOf(digest) !== index,
  );
  if (orphans.length > 0) return `blobs that no record needs: ${orphans.join(', ')}`;
  const missing = recorded.blobs.filter((digest) => !stored.blobs.includes(digest));
  if (missing.length > 0) return `blobs without bytes: ${missing.join(', ')}`;
  const open = new Set(recorded.ingests);
  const strays = stored.ingests.filter((uid) => !open.has(uid));
  return strays.length > 0 ? `ingests that no record needs: ${strays.join(', ')}` : undefined;
}

function named(what: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${what}-${index}`);
}
