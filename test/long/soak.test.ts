import { setTimeout as delay } from 'node:timers/promises';
import { SERVICE_NAMES, type ServiceName } from '@longshore/local';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pushTestImages } from '../harness/images.ts';
import { takeInventory } from '../harness/inventory.ts';
import { residentMegabytes } from '../harness/resident-memory.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { waitUntil } from '../harness/wait-until.ts';

const SOAK_MS = 5 * 60_000;
const WORKERS = 4;
/** From one idle time to the next, with some thousand runs between them: a leak of 20 KB a run would show. */
const MAX_GROWTH_MB = 20;
const SETTLE_MS = 45_000;

let stack: Stack;
let busybox: string;

beforeAll(async () => {
  stack = await startStack();
  busybox = (await pushTestImages(stack.registry)).busybox;
  await stack.ctr.ok(['image', 'pull', '--plain-http', busybox]);
});
afterAll(() => stack?.close());

interface Tally {
  succeeded: number;
  refused: number;
  wrong: string[];
}

/** A run either does all of its work, or says that something is away. */
async function runUntil(deadline: number, worker: number, tally: Tally): Promise<void> {
  for (let n = 0; Date.now() < deadline; n++) {
    const { code, stdout, stderr } = await stack.ctr.run([
      'run',
      '--rm',
      busybox,
      `soak-${worker}-${n}`,
      'echo',
      'done',
    ]);
    if (code === 0 && stdout === 'done\n') tally.succeeded += 1;
    else if (/unavailable|connection refused|error reading from server|EOF|transport/i.test(stderr))
      tally.refused += 1;
    else tally.wrong.push(`exit ${code}: ${stdout}${stderr}`);
  }
}

async function soak(forMs: number, disturb: (deadline: number) => Promise<void>): Promise<Tally> {
  const deadline = Date.now() + forMs;
  const tally: Tally = { succeeded: 0, refused: 0, wrong: [] };
  const workers = Array.from({ length: WORKERS }, (_, worker) => runUntil(deadline, worker, tally));
  await Promise.all([...workers, disturb(deadline)]);
  return tally;
}

/** Half of the time; answers the megabytes that each service has when it is idle again. */
async function soakAndSettle(): Promise<Record<ServiceName, number>> {
  const tally = await soak(SOAK_MS / 2, async () => undefined);
  expect(tally).toMatchObject({ refused: 0, wrong: [] });
  await delay(SETTLE_MS);
  const resident = SERVICE_NAMES.map((name) => [
    name,
    Math.round(residentMegabytes(stack.services.pid(name))),
  ]);
  console.log(`${tally.succeeded} runs; ${resident.map(([name, mb]) => `${name} ${mb} MB`).join(', ')}`);
  return Object.fromEntries(resident);
}

describe('five minutes of runs', () => {
  it('all succeed, leave nothing, and give their memory back', async () => {
    const before = await takeInventory(stack);
    const halves = [await soakAndSettle(), await soakAndSettle()];
    await waitUntil(
      async () => JSON.stringify(await takeInventory(stack)) === JSON.stringify(before),
      30_000,
    );
    expect(await takeInventory(stack)).toEqual(before);
    const grown = SERVICE_NAMES.filter((name) => halves[1]![name] - halves[0]![name] > MAX_GROWTH_MB);
    expect(grown).toEqual([]);
  });

  it('with a service killed every few seconds: each run works or says what is away', async () => {
    const tally = await soak(SOAK_MS, async (deadline) => {
      for (let n = 0; Date.now() < deadline; n++) {
        await delay(5_000);
        const victim: ServiceName = SERVICE_NAMES[n % SERVICE_NAMES.length]!;
        await stack.services.kill(victim);
        await stack.services.whenReady(victim);
      }
    });
    console.log(`runs: ${tally.succeeded} succeeded, ${tally.refused} refused`);
    expect(tally.wrong).toEqual([]);
    // Refusals are quick, so they may be many; between two kills there is time for some runs.
    expect(tally.succeeded).toBeGreaterThan(SOAK_MS / 5_000);
    // ctr does not come back for what it could not remove, so that is left; the platform must still be able to.
    await stack.ctr.removeContainers();
    expect(await stack.ctr.ok(['run', '--rm', busybox, 'after', 'echo', 'well'])).toBe('well\n');
  });
});

describe('an outage of ten minutes', () => {
  it('of the control plane leaves containers alone, and nothing needs a human afterwards', async () => {
    const controlPlane = SERVICE_NAMES.filter((name) => name !== 'agent');
    await stack.ctr.ok(['run', '-d', busybox, 'steady', 'sleep', '100000']);
    const running = async () => /^steady\s+\d+\s+RUNNING/m.exec(await stack.ctr.ok(['task', 'ls']))?.[0];
    const before = await running();
    expect(before).toBeDefined();
    for (const name of controlPlane) await stack.services.stop(name);
    await delay(10 * 60_000);
    expect(await running()).toBe(before);
    await Promise.all(controlPlane.map((name) => stack.services.start(name)));
    expect(await stack.ctr.ok(['task', 'exec', '--exec-id', 'e', 'steady', 'echo', 'inside'])).toBe(
      'inside\n',
    );
    expect(await running()).toBe(before);
  });
});
