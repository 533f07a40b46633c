import { setTimeout as delay } from 'node:timers/promises';
import { waitUntil } from '../harness/wait-until.ts';
import { Agents } from './scale/agents.ts';
import { type ControlPlane, startControlPlane } from './scale/control-plane.ts';
import { costsBetween, printCosts, printMachine, type StepCost } from './scale/costs.ts';
import { createContainers } from './scale/create-containers.ts';
import { formatLatency } from './scale/latency.ts';
import { timeLists, timeRealAgent } from './scale/time-lists.ts';
import { usageOf } from './scale/usage.ts';

export interface ScaleOptions {
  /** Counts of nodes to measure at, growing. */
  steps: readonly number[];
  containersPerNode: number;
  /** For how long each step is measured. */
  seconds: number;
  /** How often each list is asked for. */
  lists: number;
}

const SETTLE_MS = 5_000;
const DEADLINE_MS = 180_000;

/** Prints what many nodes cost the control plane, and how long lists of their containers take. */
export async function benchScale(options: ScaleOptions): Promise<void> {
  await using plane = await startControlPlane();
  await using agents = new Agents(plane.state, `${plane.state}/logs/agents.log`);
  printMachine();
  const costs: StepCost[] = [];
  for (const nodes of options.steps) {
    await grow(plane, agents, nodes, options.containersPerNode);
    costs.push(await costAt(plane, agents, nodes, options.seconds));
    if (costs.length === options.steps.length) printCosts(costs);
    if (nodes > 0) await timeLists(plane, options.lists);
  }
  await timeRealAgent(plane, options.lists);
}

/** Until there are so many nodes with their containers, all agents have heard of theirs, and all events are sent. */
async function grow(plane: ControlPlane, agents: Agents, nodes: number, perNode: number): Promise<void> {
  const { containers } = await agents.have(nodes);
  const count = nodes * perNode - containers;
  const started = performance.now();
  await createContainers(
    plane,
    { first: containers, count },
    (number) => `n${Math.floor(number / perNode) + 1}`,
  );
  const seconds = (performance.now() - started) / 1000;
  if (count > 0) console.log(`${count} containers created, ${(count / seconds).toFixed(0)} a second`);
  await reach('all agents have heard of their containers', async () => {
    return (await agents.have(nodes)).containers === nodes * perNode;
  });
  await reach('all events are sent', async () => (await plane.unsentEvents()) === 0);
  await delay(SETTLE_MS);
}

async function costAt(
  plane: ControlPlane,
  agents: Agents,
  nodes: number,
  seconds: number,
): Promise<StepCost> {
  const pids = { ...plane.pids(), 'load generator': agents.pid };
  const look = () => Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, usageOf(pid)]));
  await agents.have(nodes);
  const started = performance.now();
  const before = look();
  await delay(seconds * 1000);
  const after = look();
  const minutes = (performance.now() - started) / 60_000;
  const { heartbeats, latency } = await agents.have(nodes);
  console.log(`${nodes} nodes: ${heartbeats} heartbeats in ${seconds} s, ${formatLatency(latency)}`);
  return { nodes, costs: costsBetween(before, after, minutes) };
}

async function reach(what: string, condition: () => Promise<boolean>): Promise<void> {
  if (!(await waitUntil(condition, DEADLINE_MS))) throw new Error(`not within ${DEADLINE_MS} ms: ${what}`);
}
