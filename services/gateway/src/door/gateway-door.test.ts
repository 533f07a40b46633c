import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Diff } from '@longshore/proto/containerd/services/diff/v1/diff';
import { Events } from '@longshore/proto/containerd/services/events/v1/events';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Introspection } from '@longshore/proto/containerd/services/introspection/v1/introspection';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Namespaces } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import { Store } from '@longshore/proto/containerd/services/sandbox/v1/sandbox';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Version } from '@longshore/proto/containerd/services/version/v1/version';
import { Health, HealthCheckResponse_ServingStatus as Status } from '@longshore/proto/grpc/health/v1/health';
import { ClaimService } from '@longshore/proto/longshore/content/v1/blobs';
import { ContainerService } from '@longshore/proto/longshore/runtime/v1/containers';
import { NodeAdminService, NodeService, NodeState } from '@longshore/proto/longshore/runtime/v1/nodes';
import { type Channel, createClient } from '@longshore/rpc';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { GatewayFixture } from '../testing/gateway-fixture.ts';
import { refusal } from '../testing/refusal.ts';
import { StandIn } from '../testing/stand-in.ts';

let gateway: GatewayFixture;
let channel: Channel;

beforeAll(async () => {
  gateway = await GatewayFixture.start();
  channel = gateway.connect();
});

beforeEach(() => {
  gateway.takeSeen();
});

afterAll(() => gateway.close());

function as(node?: string, more: Record<string, string> = {}) {
  return {
    headers: { 'containerd-namespace': 'ns', ...(node !== undefined && { 'longshore-node': node }), ...more },
  };
}

describe("a call in the fleet's scope", () => {
  it.each([undefined, '', '_', '_, n1'])(
    'goes to the service that owns it, as node `_`, with the header %j',
    async (node) => {
      await createClient(Images, channel).list({}, as(node));
      await createClient(Namespaces, channel).list({}, as(node));
      await createClient(Content, channel).info({}, as(node));
      await createClient(Snapshots, channel).stat({}, as(node));
      await createClient(Events, channel).publish({}, as(node));
      expect(gateway.takeSeen().map(({ at, namespace, node }) => [at, namespace, node])).toEqual(
        expect.arrayContaining([
          ['image Images/List', 'ns', '_'],
          ['content Namespaces/List', 'ns', '_'],
          ['content Content/Info', 'ns', '_'],
          ['snapshot Snapshots/Stat', 'ns', '_'],
          ['events Events/Publish', 'ns', '_'],
        ]),
      );
    },
  );

  it('needs the header for what only nodes have', async () => {
    const required = 'InvalidArgument: header longshore-node is required: invalid argument';
    expect(await refusal(createClient(Tasks, channel).get({}, as('_')))).toBe(required);
    for (const node of [undefined, '_']) {
      expect(await refusal(createClient(Diff, channel).diff({}, as(node)))).toBe(required);
      expect(await refusal(createClient(Introspection, channel).server({}, as(node)))).toBe(required);
      expect(await refusal(createClient(Snapshots, channel).prepare({}, as(node)))).toBe(required);
      expect(await refusal(createClient(Containers, channel).create({}, as(node)))).toBe(required);
      expect(await refusal(createClient(Store, channel).create({}, as(node)))).toBe(required);
    }
    expect(gateway.takeSeen()).toEqual([]);
  });

  it('is answered by the gateway itself for its version and health', async () => {
    expect(await createClient(Version, channel).version({})).toMatchObject({ revision: 'longshore' });
    const { status } = await createClient(Health, channel).check({});
    expect(status).toBe(Status.SERVING);
  });

  it('does not hand out events in trailers', async () => {
    let trailers: Record<string, unknown> = {};
    await createClient(Images, channel).create(
      {},
      {
        ...as(),
        onTrailers: (metadata) => {
          trailers = metadata.getMap();
        },
      },
    );
    expect(Object.keys(trailers)).not.toContain('longshore-event-bin');
    expect(gateway.takeSeen()).toHaveLength(1);
  });
});

describe("a call in a node's scope", () => {
  it("goes to the node's agent, whatever it asks", async () => {
    await createClient(Tasks, channel).get({}, as('n1'));
    await createClient(Images, channel).list({}, as('n1'));
    await createClient(Containers, channel).create({}, as('n1, n2'));
    await createClient(Snapshots, channel).prepare({}, as('n1'));
    expect(await createClient(Version, channel).version({}, as('n1'))).toMatchObject({ version: 'agent' });
    expect(gateway.takeSeen().map(({ at, node }) => [at, node])).toEqual([
      ['agent Tasks/Get', 'n1'],
      ['agent Images/List', 'n1'],
      ['agent Containers/Create', 'n1'],
      ['agent Snapshots/Prepare', 'n1'],
      ['agent Version/Version', 'n1'],
    ]);
  });

  it('is refused for a node that nobody knows, or that cannot be one', async () => {
    const images = createClient(Images, channel);
    expect(await refusal(images.list({}, as('n2')))).toBe('NotFound: node "n2": not found');
    expect(await refusal(images.list({}, as('a/b')))).toMatch(
      /^InvalidArgument: node validation: identifier "a\/b"/,
    );
  });

  it('finds an agent that has moved, also while the registry is away', async () => {
    const { runtime } = gateway.backends;
    const images = createClient(Images, channel);
    const moved = new StandIn('moved');
    runtime.registry.nodes.set('n3', `unix://${gateway.directory}/gone.sock`);
    expect(await refusal(images.list({}, as('n3')))).toMatch(/^Unavailable: node "n3": connect ENOENT/);
    runtime.registry.nodes.set('n3', await moved.listen(`unix://${gateway.directory}/moved.sock`));
    const deadline = Date.now() + 10_000;
    while ((await refusal(images.list({}, as('n3')))) !== 'no error')
      expect(Date.now()).toBeLessThan(deadline);
    expect(moved.seen.map(({ at }) => at)).toEqual(['moved Images/List']);
    await moved.close();
  });
});

describe('a call that the edge does not have', () => {
  it("is Unimplemented: an unknown service, and longshore's own for its parts", async () => {
    const own = createClient(ClaimService, channel);
    expect(await refusal(own.renew({}, as()))).toBe(
      'Unimplemented: unknown service longshore.content.v1.ClaimService: not implemented',
    );
    expect(await refusal(own.renew({}, as('n1')))).toMatch(/^Unimplemented/);
    expect(await refusal(createClient(NodeService, channel).heartbeat({ id: 'n1' }))).toMatch(
      /^Unimplemented/,
    );
    expect(await refusal(createClient(ContainerService, channel).find({ id: 'a' }))).toMatch(
      /^Unimplemented/,
    );
  });

  it('is what the service answers: Unimplemented for a method that it does not serve', async () => {
    expect(await refusal(createClient(Leases, channel).list({}, as()))).toMatch(/^Unimplemented/);
    expect(await refusal(createClient(Images, channel).delete({}, as()))).toMatch(/^Unimplemented: rpc /);
  });
});

describe("longshore's own API for people", () => {
  it('is answered by its service, whatever node the caller names', async () => {
    const { node } = await createClient(NodeService, channel).get({ id: 'n1' }, as('n1'));
    expect(node).toMatchObject({ id: 'n1' });
    const drained = await createClient(NodeAdminService, channel).drain({ id: 'n1' }, as());
    expect(drained.node).toMatchObject({ state: NodeState.DRAINING });
  });
});

describe('a call for a container that names no node', () => {
  it('goes to the node that has it, with its bytes as they came', async () => {
    gateway.backends.runtime.registry.found.set('web', ['n1']);
    await createClient(Containers, channel).get({ id: 'web' }, as());
    await createClient(Containers, channel).update({ container: { id: 'web', image: 'i' } }, as());
    const spec = { typeUrl: 't', value: new Uint8Array(100_000) };
    await createClient(Tasks, channel).exec({ containerId: 'web', execId: 'e', spec }, as());
    expect(gateway.takeSeen().map(({ at, namespace, node }) => [at, namespace, node])).toEqual([
      ['runtime ContainerService/Find', 'ns', '_'],
      ['runtime ContainerService/Find', 'ns', '_'],
      ['runtime ContainerService/Find', 'ns', '_'],
      ['agent Containers/Get', 'ns', 'n1'],
      ['agent Containers/Update', 'ns', 'n1'],
      ['agent Tasks/Exec', 'ns', 'n1'],
    ]);
  });

  it('is refused when none has it, or several', async () => {
    gateway.backends.runtime.registry.found.set('twice', ['n2', 'n1']);
    const tasks = createClient(Tasks, channel);
    expect(await refusal(tasks.get({ containerId: 'none' }, as()))).toBe(
      'NotFound: container "none": not found',
    );
    expect(await refusal(tasks.get({ containerId: 'twice' }, as()))).toBe(
      'InvalidArgument: container "twice": it is on several nodes, n1, n2; header longshore-node says which: invalid argument',
    );
    expect(await refusal(tasks.get({ containerId: 'a/b' }, as()))).toMatch(/^InvalidArgument: identifier/);
    expect(gateway.takeSeen().filter(({ at }) => at.startsWith('agent'))).toEqual([]);
  });
});

describe('a label that is reserved', () => {
  it.each(['longshore.io/node', 'longshore.io/deleting'])('cannot be given: %s', async (label) => {
    const labels = { mine: 'x', [label]: 'n1' };
    const problem = `InvalidArgument: label "${label}": it is reserved: invalid argument`;
    const containers = createClient(Containers, channel);
    expect(await refusal(containers.create({ container: { id: 'a', labels } }, as('n1')))).toBe(problem);
    expect(await refusal(containers.update({ container: { id: 'a', labels } }, as()))).toBe(problem);
    const snapshots = createClient(Snapshots, channel);
    expect(await refusal(snapshots.prepare({ key: 'k', labels }, as('n1')))).toBe(problem);
    const namespaces = createClient(Namespaces, channel);
    expect(await refusal(namespaces.create({ namespace: { name: 'n', labels } }, as()))).toBe(problem);
    expect(gateway.takeSeen()).toEqual([]);
    await containers.create({ container: { id: 'a', labels: { mine: 'longshore.io/node' } } }, as('n1'));
  });
});

describe('the request id', () => {
  it("is the caller's, else a new one", async () => {
    const images = createClient(Images, channel);
    await images.list({}, as(undefined, { 'x-request-id': 'mine' }));
    await images.list({}, as());
    const [mine, given] = gateway.takeSeen().map(({ requestId }) => requestId);
    expect(mine).toBe('mine');
    expect(given).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('a registry that is away', () => {
  it('leaves the nodes reachable that are known', async () => {
    const images = createClient(Images, channel);
    await images.list({}, as('n1'));
    await gateway.backends.runtime.close();
    expect(await refusal(images.list({}, as('n9')))).toMatch(/^Unavailable/);
    const deadline = Date.now() + 3000;
    while (Date.now() < deadline) await images.list({}, as('n1'));
  });
});
