import { makeBusyboxImage } from '@longshore/local';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Header } from '@longshore/proto/headers';
import { type CallOptions, type Channel, createClient } from '@longshore/rpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bystander, runAllTheWhile } from '../../harness/bystander.ts';
import { CutOff, nodeStates } from '../../harness/cut-off.ts';
import { type Fleet, startFleet } from '../../harness/fleet.ts';
import { throughOutage } from '../../harness/fleet-outage.ts';
import { UNTIL_TERM } from '../../harness/running-task.ts';
import { type EventStream, readStream } from '../../harness/stream-reader.ts';
import { waitUntil } from '../../harness/wait-until.ts';
import { nodeDeathFaults } from './node-death.suite.ts';

/** Each replica of the gateway may have to find out by itself, by a ping or a connection that takes 3 s. */
const EDGE_NOTICES_MS = 15_000;
/** Less than any wait for an answer. */
const AT_ONCE_MS = 2_000;

let fleet: Fleet;
let image: string;
let gateway: Channel;
let events: EventStream;

beforeAll(async () => {
  fleet = await startFleet({
    nodes: 4,
    nodeEnv: () => ({ LONGSHORE_HEARTBEAT_MS: '500' }),
    env: { LONGSHORE_NODE_UNREACHABLE_AFTER_MS: '3000', LONGSHORE_GATEWAY_NODE_TIMEOUT_MS: '2000' },
  });
  image = await fleet.push('test/busybox', '1', await makeBusyboxImage());
  await Promise.all(fleet.nodes.map(({ ctr }) => ctr.ok(['image', 'pull', '--plain-http', image])));
  gateway = await fleet.gateway('operator');
  events = await readStream({ ...fleet.local.stores.nats, url: fleet.stores.natsUrl });
});
afterAll(async () => {
  gateway?.close();
  await events?.[Symbol.asyncDispose]();
  await fleet?.close();
});

const at = (node?: string): CallOptions => ({
  headers: { [Header.Namespace]: 'default', ...(node && { [Header.Node]: node }) },
});

async function becomes(node: string, state: string): Promise<void> {
  expect(await waitUntil(async () => (await nodeStates(fleet))[node] === state, 30_000)).toBe(true);
}

/** Answers how long the refusal took, in ms. */
async function expectRefusedForNode(node: string, id: string): Promise<number> {
  const startMs = performance.now();
  await expect(createClient(Containers, gateway).get({ id }, at(node))).rejects.toMatchObject({
    kind: 'Unavailable',
    message: expect.stringContaining(`node "${node}"`),
  });
  return Math.round(performance.now() - startMs);
}

/** Lists of the whole fleet, with the nodes that they say are missing. */
async function listAll() {
  const missing: string[] = [];
  const options: CallOptions = {
    ...at(),
    onTrailers: (trailers) =>
      missing.push(...trailers.get(Header.UnreachableNodes).flatMap((nodes) => String(nodes).split(/, */))),
  };
  const { containers } = await createClient(Containers, gateway).list({ filters: [] }, options);
  const { tasks } = await createClient(Tasks, gateway).list({ filter: '' }, options);
  return { containers: containers.map(({ id }) => id), tasks: tasks.map(({ id }) => id), missing };
}

// One fleet for all: to start it costs more than most of them.
nodeDeathFaults(() => ({ fleet, image, events }));

// One node each, at the same time: most of it is waiting.
describe('a node whose link is cut', () => {
  let bystander: Bystander;
  beforeAll(() => {
    bystander = runAllTheWhile(fleet.node('n1'), image);
  });
  afterAll(async () => {
    expect(await bystander.stop()).toMatchObject({ failures: [] });
  });

  it.concurrent.each([
    ['n2', 'both'],
    ['n3', 'to-control'],
    ['n4', 'to-node'],
  ] as const)('%s, %s: works alone, is named, and heals', async (id, partition) => {
    const { link } = fleet.node(id);
    const cut = new CutOff(fleet, fleet.node(id), image, partition);
    await cut.prepare();
    const here = `here-${partition}`;
    await fleet.node('n1').ctr.ok(['run', '-d', image, here, ...UNTIL_TERM]);
    // Both ends have connections to lose.
    expect((await listAll()).containers).toEqual(expect.arrayContaining([here, cut.untouched]));

    await link.partition(partition);
    const [edgeMs, writes] = await Promise.all([
      expectRefusedForNode(id, cut.untouched),
      cut.expectWritesRefused(),
    ]);
    expect(edgeMs).toBeLessThan(EDGE_NOTICES_MS);
    const listed = await listAll();
    // Once by each of the two lists.
    expect(listed.missing.filter((node) => node === id)).toHaveLength(2);
    expect(listed.missing).not.toContain('n1');
    expect(listed.containers).toContain(here);
    expect(listed.containers).not.toContain(cut.untouched);
    expect(listed.tasks).toContain(here);
    await cut.expectWorksAlone();
    await becomes(id, 'unreachable');
    expect(await expectRefusedForNode(id, cut.untouched)).toBeLessThan(AT_ONCE_MS);

    await link.heal();
    const healed = await cut.expectHealed();
    console.log(`${partition}:`, JSON.stringify({ edgeMs, ...writes, ...healed }));
    expect(await waitUntil(async () => !(await listAll()).missing.includes(id))).toBe(true);
    await cut.expectEvents(events);
  });
});

describe('a container that is deleted at the edge while its node is cut off', () => {
  const listed = async () => {
    const answer = await fleet.http('/v1/containers?namespace=default&node=n2&status=true');
    const body = (await answer.json()) as { items: { id: string; status: string }[] };
    return new Map(body.items.map(({ id, status }) => [id, status]));
  };

  it('stays deleting until its node is back, and until its task has ended', async () => {
    const { ctr, link } = fleet.node('n2');
    await ctr.ok(['container', 'create', image, 'idle', 'true']);
    await ctr.ok(['run', '-d', image, 'busy', ...UNTIL_TERM]);
    const bystander = runAllTheWhile(fleet.node('n1'), image);
    await link.down();
    for (const id of ['idle', 'busy']) {
      const answer = await fleet.http(`/v1/containers/${id}?namespace=default`, { method: 'DELETE' });
      expect([answer.status, await answer.json()]).toEqual([202, { id, node: 'n2', status: 'deleting' }]);
    }
    expect(Object.fromEntries(await listed())).toMatchObject({ idle: 'deleting', busy: 'deleting' });
    expect(await ctr.ok(['container', 'ls', '-q'])).toContain('idle');
    expect(await ctr.ok(['task', 'ls'])).toMatch(/^busy\s+\d+\s+RUNNING/m);

    await link.up();
    expect(await waitUntil(async () => !(await listed()).has('idle'), 30_000)).toBe(true);
    expect(await waitUntil(async () => !(await ctr.ok(['container', 'ls', '-q'])).includes('idle'))).toBe(
      true,
    );
    expect(await bystander.stop()).toMatchObject({ failures: [] });
    await becomes('n2', 'ready');
    expect((await listed()).get('busy')).toBe('deleting');
    expect(await ctr.ok(['task', 'ls'])).toMatch(/^busy\s+\d+\s+RUNNING/m);

    await ctr.run(['task', 'rm', '-f', 'busy']);
    expect(await waitUntil(async () => !(await listed()).has('busy'), 30_000)).toBe(true);
    expect(await waitUntil(async () => !(await ctr.ok(['container', 'ls', '-q'])).includes('busy'))).toBe(
      true,
    );
    for (const id of ['idle', 'busy']) {
      const deletions = () => events.topicsOf(id).filter((topic) => topic === '/containers/delete').length;
      expect(await waitUntil(() => deletions() > 0)).toBe(true);
      expect([id, deletions()]).toEqual([id, 1]);
    }
  });
});

describe('with the whole control plane stopped', () => {
  it('all nodes work alone, and all is well when it is back', async () => {
    await throughOutage(fleet, image, events, async () => undefined);
    // Twelve processes are started again, on a machine that may have more to do.
  }, 240_000);
});
