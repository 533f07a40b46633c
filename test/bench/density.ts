import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Status } from '@longshore/proto/containerd/v1/types/task';
import { Header } from '@longshore/proto/headers';
import { Channel, createClient } from '@longshore/rpc';
import { residentMegabytes } from '../harness/resident-memory.ts';
import type { Stack } from '../harness/stack.ts';
import { waitUntil } from '../harness/wait-until.ts';
import { atOnce } from './at-once.ts';
import { printBar } from './bar.ts';
import { startBenchStack } from './sides.ts';

const MAX_KB_EACH = 100;
const MAX_KNOWN_AGAIN_MS = 3_000;

/** Clients at a time: more only wait for the two processors. */
const CLIENTS = 8;
/** Runs before memory is read: code that never ran has no memory yet. */
const WARM_UP_RUNS = 30;
const KNOWN_AGAIN_TIMEOUT_MS = 60_000;
const TICK_MS = 10;

const inDefault = { headers: { [Header.Namespace]: 'default' } };

export interface DensityOptions {
  containers: number;
  /** Idle time before the agent's memory is read: it gives back what it does not need within seconds. */
  settleS: number;
}

export interface Density {
  startedS: number;
  /** Of the agent's resident set, for each container. */
  kilobytesEach: number;
  execsS: number;
  /** From the start of the new agent's process until it lists all as running. */
  knownAgainMs: number;
  deletedS: number;
}

/** Prints what many containers at once cost their agent, and how soon a new agent knows them. */
export async function benchDensity(options: DensityOptions): Promise<void> {
  await using started = await startBenchStack();
  const { containers } = options;
  const density = await measureDensity(started.stack, started.image, options);
  console.log(`${containers} containers at once on one node:`);
  console.log(`  started in ${density.startedS.toFixed(1)} s, ${CLIENTS} clients at once`);
  console.log(`  an exec in each in ${density.execsS.toFixed(1)} s`);
  console.log(`  stopped and deleted in ${density.deletedS.toFixed(1)} s`);
  const { kilobytesEach, knownAgainMs } = density;
  printBar(
    `agent memory ≤ ${MAX_KB_EACH} KB for each`,
    `${kilobytesEach.toFixed(0)} KB`,
    kilobytesEach <= MAX_KB_EACH,
  );
  printBar(
    `all known ≤ ${MAX_KNOWN_AGAIN_MS} ms from the start of an agent after kill -9`,
    `${knownAgainMs.toFixed(0)} ms`,
    knownAgainMs <= MAX_KNOWN_AGAIN_MS,
  );
}

/** Throws when a container does not start, answer an exec, outlive its agent, or go. */
export async function measureDensity(
  { ctr, services, socket }: Stack,
  image: string,
  { containers, settleS }: DensityOptions,
): Promise<Density> {
  const idOf = (n: number) => `many-${n}`;
  await atOnce(CLIENTS, WARM_UP_RUNS, (n) => ctr.ok(['run', '--rm', image, `warm-${n}`, 'true']));
  await delay(settleS * 1000);
  const before = residentMegabytes(services.pid('agent'));

  const each = async (work: (id: string, n: number) => Promise<unknown>) => {
    const began = performance.now();
    await atOnce(CLIENTS, containers, (n) => work(idOf(n), n));
    return (performance.now() - began) / 1000;
  };
  const startedS = await each((id) => ctr.ok(['run', '-d', image, id, 'sleep', '1000000']));
  await delay(settleS * 1000);
  const kilobytesEach = ((residentMegabytes(services.pid('agent')) - before) * 1000) / containers;
  // By its exit code: ctr may leave before it has printed an output's last line.
  const answers = async (id: string, n: number) => {
    const status = (n % 100) + 1;
    const exec = ['task', 'exec', '--exec-id', 'asked', id, 'sh', '-c', `exit ${status}`];
    const { code, stderr } = await ctr.run(exec);
    if (code !== status) throw new Error(`exec in ${id} ends with ${code}: ${stderr}`);
  };
  const execsS = await each(answers);

  await services.kill('agent');
  const knownAgainMs = await knownAgain(socket, () => services.pid('agent'), containers);
  await services.whenReady('agent');

  const deletedS = await each(async (id) => {
    await ctr.ok(['task', 'rm', '-f', id]);
    await ctr.ok(['container', 'rm', id]);
  });
  const left = (await ctr.ok(['task', 'ls', '-q'])) + (await ctr.ok(['container', 'ls', '-q']));
  if (left !== '') throw new Error(`still there:\n${left}`);
  return { startedS, kilobytesEach, execsS, knownAgainMs, deletedS };
}

async function knownAgain(socket: string, agentPid: () => number, containers: number): Promise<number> {
  const channel = new Channel(`unix://${socket}`);
  const tasks = createClient(Tasks, channel);
  const areKnown = async () => {
    const listed = await tasks.list({}, inDefault).catch(() => undefined);
    return listed?.tasks.filter(({ status }) => status === Status.RUNNING).length === containers;
  };
  try {
    if (!(await waitUntil(areKnown, KNOWN_AGAIN_TIMEOUT_MS)))
      throw new Error('not all tasks are known again');
    return processAgeMs(agentPid());
  } finally {
    channel.close();
  }
}

function processAgeMs(pid: number): number {
  const startTicks = Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[19]);
  const uptimeMs = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
  return uptimeMs - startTicks * TICK_MS;
}
