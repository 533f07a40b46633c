import { createServer } from 'node:net';
import { invalidArgument, unavailable } from '@longshore/errors';
import type { Call } from '@longshore/kit';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Store } from '@longshore/proto/containerd/services/sandbox/v1/sandbox';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { NodeState } from '@longshore/proto/longshore/runtime/v1/nodes';
import { type CallOptions, type Channel, createClient } from '@longshore/rpc';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { GatewayFixture } from '../testing/gateway-fixture.ts';
import { refusal } from '../testing/refusal.ts';
import type { StandIn } from '../testing/stand-in.ts';

const NODE_TIMEOUT_MS = 300;

let gateway: GatewayFixture;
let channel: Channel;
let n2: StandIn;
let n3: StandIn;
/** Takes connections, and says nothing. */
const mute = createServer();
let trailers: Record<string, unknown>;

beforeAll(async () => {
  gateway = await GatewayFixture.start({ LONGSHORE_GATEWAY_NODE_TIMEOUT_MS: String(NODE_TIMEOUT_MS) });
  n2 = await gateway.addNode('n2');
  n3 = await gateway.addNode('n3');
  gateway.backends.runtime.registry.nodes.set('gone', `unix://${gateway.directory}/nobody.sock`);
  await new Promise<void>((resolve) => mute.listen(`${gateway.directory}/mute.sock`, resolve));
  gateway.backends.runtime.registry.nodes.set('mute', `unix://${gateway.directory}/mute.sock`);
  channel = gateway.connect();
});

afterEach(() => {
  for (const node of [n2, n3]) node.trouble = async () => undefined;
});

afterAll(async () => {
  await gateway.close();
  mute.close();
});

const OPTIONS: CallOptions = {
  headers: { 'containerd-namespace': 'ns' },
  onTrailers: (metadata) => {
    trailers = metadata.getMap();
  },
};

function hang({ signal }: Call): Promise<void> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('over'))));
}

const unreachable = () => trailers['longshore-unreachable-nodes'];
const nodeOf = ({ labels }: { labels: Record<string, string> }) => labels['longshore.io/node'];

describe('a list without a node', () => {
  it('is put together from what all nodes answer, and names those that do not', async () => {
    const { containers } = await createClient(Containers, channel).list({}, OPTIONS);
    expect(containers.map((container) => [container.id, nodeOf(container)])).toEqual([
      ['of-agent', 'n1'],
      ['of-n2', 'n2'],
      ['of-n3', 'n3'],
    ]);
    expect(unreachable()).toBe('gone,mute');

    const { tasks } = await createClient(Tasks, channel).list({}, OPTIONS);
    expect(tasks.map(({ id }) => id)).toEqual(['of-agent', 'of-n2', 'of-n3']);
    expect(unreachable()).toBe('gone,mute');

    const { list } = await createClient(Store, channel).list({}, OPTIONS);
    expect(list.map((sandbox) => [sandbox.sandboxId, nodeOf(sandbox)])).toContainEqual(['of-n3', 'n3']);

    const infos = await Array.fromAsync(createClient(Snapshots, channel).list({}, OPTIONS));
    const snapshots = infos.flatMap(({ info }) => info.map((each) => [each.name, nodeOf(each)]));
    expect(snapshots.sort()).toEqual([
      ['of agent', 'n1'],
      ['of n2', 'n2'],
      ['of n3', 'n3'],
    ]);
    expect(unreachable()).toBe('gone,mute');
    const seen = gateway.takeSeen().filter(({ at }) => at === 'agent Containers/ListStream');
    expect(seen).toMatchObject([{ namespace: 'ns', node: 'n1' }]);
  });

  it('does not wait for a node that hangs, nor fail with one that fails', async () => {
    n2.trouble = hang;
    n3.trouble = async () => {
      throw unavailable('service "runtime"');
    };
    const started = performance.now();
    const stream = createClient(Containers, channel).listStream({}, OPTIONS);
    const containers = await Array.fromAsync(stream, ({ container }) => container!.id);
    expect(containers).toEqual(['of-agent']);
    expect(unreachable()).toBe('gone,mute,n2,n3');
    expect(performance.now() - started).toBeLessThan(NODE_TIMEOUT_MS + 1500);
  });

  it('goes only to the nodes that its filters name', async () => {
    gateway.takeSeen();
    const filters = ['labels."longshore.io/node"==n2,id!=x'];
    const { containers } = await createClient(Containers, channel).list({ filters }, OPTIONS);
    expect(containers.map(({ id, image }) => [id, image])).toEqual([['of-n2', '"id"!="x"']]);
    expect(unreachable()).toBeUndefined();
    expect(gateway.takeSeen()).toMatchObject([{ at: 'runtime ContainerService/Find' }]);
  });

  it('of containers goes only to nodes that have a match, and names those that are away', async () => {
    const { registry } = gateway.backends.runtime;
    const list = (filter: string) => createClient(Containers, channel).list({ filters: [filter] }, OPTIONS);
    registry.matching.set('"id"=="x"', ['_', 'n2', 'gone']).set('"id"=="y"', []);
    expect((await list('id==x')).containers.map(({ id }) => id)).toEqual(['of-n2']);
    expect(unreachable()).toBe('gone');
    gateway.takeSeen();
    expect((await list('id==y')).containers).toEqual([]);
    expect(unreachable()).toBeUndefined();
    expect(gateway.takeSeen()).toMatchObject([{ at: 'runtime ContainerService/Find', namespace: 'ns' }]);

    registry.states.set('mute', NodeState.UNREACHABLE);
    await expect.poll(() => list('id==y').then(unreachable), { timeout: 10_000 }).toBe('mute');
    await list('labels."longshore.io/node"==n2,id==y');
    expect(unreachable()).toBeUndefined();
    registry.states.delete('mute');
  });

  it('of containers goes to all nodes when nobody knows who has a match', async () => {
    const { runtime } = gateway.backends;
    const list = (filter: string) => createClient(Containers, channel).list({ filters: [filter] }, OPTIONS);
    const all = ['of-agent', 'of-n2', 'of-n3'];
    expect((await list('id!=x')).containers.map(({ id }) => id)).toEqual(all);
    runtime.registry.matching.set('"id"=="y"', []);
    runtime.trouble = async ({ method }) => {
      if (method.endsWith('/Find')) throw unavailable('no database');
    };
    expect((await list('id==y')).containers.map(({ id }) => id)).toEqual(all);
    runtime.trouble = async () => undefined;
  });

  it('is refused when every node refuses it, and for what is wrong in itself', async () => {
    const containers = createClient(Containers, channel);
    expect(await refusal(containers.list({ filters: ['id=='] }, OPTIONS))).toMatch(
      /^InvalidArgument: filters/,
    );
    expect(await refusal(containers.list({}))).toBe(
      'FailedPrecondition: namespace is required: failed precondition',
    );
    const all = [gateway.backends.agent, n2, n3];
    for (const node of all) {
      node.trouble = async () => {
        throw invalidArgument('no');
      };
    }
    expect(await refusal(createClient(Tasks, channel).list({}, OPTIONS))).toBe(
      'InvalidArgument: no: invalid argument',
    );
    for (const node of all) node.trouble = async () => undefined;
  });
});

describe('the deletion of a container', () => {
  const containers = () => createClient(Containers, channel);
  const marked = () => gateway.backends.runtime.registry.marked;
  const on = (node: string): CallOptions => ({ headers: { ...OPTIONS.headers, 'longshore-node': node } });

  it("is the node's matter when that can be reached", async () => {
    gateway.backends.runtime.registry.found.set('of-n2', ['n2']);
    await containers().delete({ id: 'of-n2' }, OPTIONS);
    expect(n2.seen.at(-1)).toMatchObject({ at: 'n2 Containers/Delete', namespace: 'ns', node: 'n2' });
    expect(await refusal(containers().delete({ id: 'x' }, on('n2')))).toBe(
      'NotFound: container "x": not found',
    );
    expect([...marked()]).toEqual([]);
  });

  it('fails when the node is slow, and says so', async () => {
    n2.trouble = hang;
    expect(await refusal(containers().delete({ id: 'of-n2' }, on('n2')))).toMatch(/^DeadlineExceeded/);
    expect([...marked()]).toEqual([]);
  });

  it('fails when the node answers that it cannot', async () => {
    n2.trouble = async () => {
      throw unavailable('service "runtime"');
    };
    expect(await refusal(containers().delete({ id: 'of-n2' }, on('n2')))).toBe(
      'Unavailable: service "runtime": unavailable',
    );
    expect([...marked()]).toEqual([]);
  });

  it('marks it when the node cannot be reached', async () => {
    gateway.backends.runtime.registry.found.set('lost', ['gone']);
    await containers().delete({ id: 'lost' }, OPTIONS);
    await containers().delete({ id: 'other' }, on('gone'));
    await containers().delete({ id: 'quiet' }, on('mute'));
    expect([...marked()]).toEqual(['gone/lost', 'gone/other', 'mute/quiet']);
    expect(await refusal(containers().delete({ id: 'a' }, on('nobody')))).toBe(
      'NotFound: node "nobody": not found',
    );
  });
});

describe('a node that is away', () => {
  it('is refused at once, until it or the registry says otherwise', async () => {
    const { registry } = gateway.backends.runtime;
    const call = () =>
      refusal(
        createClient(Tasks, channel).get({}, { headers: { ...OPTIONS.headers, 'longshore-node': 'gone' } }),
      );
    registry.states.set('gone', NodeState.UNREACHABLE);
    await expect
      .poll(call, { timeout: 10_000 })
      .toBe('Unavailable: node "gone": it does not answer, and sends no heartbeats: unavailable');
    registry.states.set('gone', NodeState.READY);
    await expect
      .poll(call, { timeout: 10_000 })
      .toMatch(/^Unavailable: node "gone": connect ENOENT.*: unavailable$/);
  });
});
