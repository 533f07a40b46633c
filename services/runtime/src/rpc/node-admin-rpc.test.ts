import { timestampMs } from '@bufbuild/protobuf/wkt';
import { NodeState } from '@longshore/proto/longshore/runtime/v1/nodes';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { refusal } from '../testing/refusal.ts';
import { RuntimeFixture } from '../testing/runtime-fixture.ts';

const UNREACHABLE_AFTER_MS = 1_500;

let runtime: RuntimeFixture;

beforeAll(async () => {
  runtime = await RuntimeFixture.start({ LONGSHORE_NODE_UNREACHABLE_AFTER_MS: String(UNREACHABLE_AFTER_MS) });
});

afterAll(() => runtime.close());

const SPEC = { typeUrl: 'spec', value: new Uint8Array([1]) };

function register(id: string, report = {}) {
  return runtime.nodes.register({ node: { id, address: 'unix:///a', machineId: `m-${id}`, ...report } });
}

function create(node: string, id: string, namespace = 'default') {
  const headers = { 'containerd-namespace': namespace, 'longshore-node': node };
  const container = { id, runtime: { name: 'runc' }, spec: SPEC };
  return runtime.containers.create({ container }, { headers });
}

async function stateOf(id: string): Promise<NodeState | undefined> {
  return (await runtime.nodes.get({ id })).node?.state;
}

/** Until it is called. */
function keepBeating(id: string): () => void {
  const timer = setInterval(() => runtime.nodes.heartbeat({ id }).catch(() => undefined), 200);
  return () => clearInterval(timer);
}

describe('states of nodes', () => {
  it('follow heartbeats, each change an event', async () => {
    await register('s1');
    await vi.waitFor(async () => expect(await stateOf('s1')).toBe(NodeState.UNREACHABLE), 10_000);
    await runtime.nodes.heartbeat({ id: 's1' });
    expect(await stateOf('s1')).toBe(NodeState.READY);
    expect(await runtime.topics('s1')).toEqual(['/nodes/ready', '/nodes/unreachable', '/nodes/ready']);
    const { rows } = await runtime.pool.query(
      `SELECT DISTINCT namespace, node FROM outbox WHERE subject = 's1'`,
    );
    expect(rows).toEqual([{ namespace: '_', node: 's1' }]);
  });

  it('are those of the database clock: a silent node is not kept by others', async () => {
    await register('s2');
    await register('s3');
    const stop = keepBeating('s2');
    try {
      await vi.waitFor(async () => expect(await stateOf('s3')).toBe(NodeState.UNREACHABLE), 10_000);
      expect(await stateOf('s2')).toBe(NodeState.READY);
    } finally {
      stop();
    }
  });
});

describe('heartbeats', () => {
  it('of a moment are one statement', async () => {
    const ids = Array.from({ length: 60 }, (_, index) => `h${index}`);
    for (const id of ids) await register(id);
    const written = async () => {
      const { rows } = await runtime.pool.query(
        'SELECT count(DISTINCT xmin::text)::int AS transactions FROM node_heartbeats WHERE node_id = ANY($1)',
        [ids],
      );
      return rows[0].transactions;
    };
    expect(await written()).toBe(ids.length);
    await Promise.all(ids.map((id) => runtime.nodes.heartbeat({ id, runningTasks: 3 })));
    expect(await written()).toBeLessThanOrEqual(2);
    expect((await runtime.nodes.get({ id: 'h7' })).node).toMatchObject({ runningTasks: 3 });
  });
});

describe('a container that is deleted while its task runs', () => {
  it('leaves what the task has mounted kept, until the node says that it has ended', async () => {
    await register('t1');
    const headers = { 'containerd-namespace': 'default', 'longshore-node': 't1' };
    for (const id of ['runs', 'ended']) {
      const mounts = { snapshotter: 'overlayfs', snapshotKey: `rw-${id}` };
      const container = { id, runtime: { name: 'runc' }, spec: SPEC, ...mounts };
      await runtime.containers.create({ container }, { headers });
      const told = { ...headers, 'longshore-live-tasks': 'other,runs' };
      await runtime.containers.delete({ id }, { headers: told });
    }
    const kept = async () => {
      const { rows } = await runtime.pool.query(
        `SELECT to_key FROM gc_roots AS o JOIN gc_references AS r USING (namespace, node)
         WHERE node = 't1' AND o.kind = r.from_kind AND o.key = r.from_key`,
      );
      return rows.map(({ to_key }) => to_key);
    };
    expect(await kept()).toEqual(['overlayfs/rw-runs']);
    expect((await runtime.nodes.heartbeat({ id: 't1' })).keptTasks).toMatchObject([
      { namespace: 'default', id: 'runs' },
    ]);
    await runtime.fleetContainers.releaseTask({ id: 'runs' }, { headers });
    expect(await kept()).toEqual([]);
    expect((await runtime.nodes.heartbeat({ id: 't1' })).keptTasks).toEqual([]);
  });
});

describe('cordon and drain', () => {
  it('keep new containers off, and are told with each heartbeat', async () => {
    await register('c1');
    const { node } = await runtime.admin.setCordon({ id: 'c1', cordoned: true });
    expect(node).toMatchObject({ cordoned: true, state: NodeState.READY });
    expect(await refusal(create('c1', 'web'))).toBe(
      'FailedPrecondition: node "c1" is cordoned: failed precondition',
    );
    expect((await runtime.nodes.heartbeat({ id: 'c1' })).desired).toMatchObject({
      cordoned: true,
      draining: false,
    });

    await runtime.admin.drain({ id: 'c1', grace: { seconds: 3n, nanos: 0 } });
    expect((await runtime.nodes.heartbeat({ id: 'c1' })).desired).toMatchObject({
      cordoned: true,
      draining: true,
      drainGrace: { seconds: 3n },
    });
    expect(await stateOf('c1')).toBe(NodeState.DRAINING);
    // A drain outlasts the node's absence.
    await vi.waitFor(async () => expect(await stateOf('c1')).toBe(NodeState.UNREACHABLE), 10_000);
    await runtime.nodes.heartbeat({ id: 'c1' });
    expect(await stateOf('c1')).toBe(NodeState.DRAINING);

    await runtime.admin.setCordon({ id: 'c1', cordoned: false });
    await create('c1', 'web');
    expect(await runtime.topics('c1')).toEqual([
      '/nodes/ready',
      '/nodes/cordon',
      '/nodes/draining',
      '/nodes/unreachable',
      '/nodes/draining',
      '/nodes/uncordon',
      '/nodes/ready',
    ]);
  });
});

describe('removal', () => {
  it('takes the records with it, each with its event, and goes on until content has forgotten too', async () => {
    await register('r1');
    for (const namespace of ['default', 'k8s.io']) await create('r1', 'doomed', namespace);
    await create('c1', 'doomed');
    await runtime.admin.drain({ id: 'r1' });
    await runtime.nodes.heartbeat({ id: 'r1', runningTasks: 1 });
    expect(await refusal(runtime.admin.remove({ id: 'r1' }))).toMatch(
      /^FailedPrecondition: node "r1": has running tasks \(1\)/,
    );
    await runtime.nodes.heartbeat({ id: 'r1', runningTasks: 0 });
    runtime.content.isAway = true;
    expect((await runtime.admin.remove({ id: 'r1' })).node).toMatchObject({ state: NodeState.GONE });
    const deleted = async () => {
      const { rows } = await runtime.pool.query(
        `SELECT namespace FROM outbox WHERE node = 'r1' AND topic = '/containers/delete' ORDER BY namespace`,
      );
      return rows.map(({ namespace }) => namespace);
    };
    await vi.waitFor(async () => expect(await deleted()).toEqual(['default', 'k8s.io']), 10_000);
    expect(runtime.content.forgotten).toEqual([]);
    runtime.content.isAway = false;
    await vi.waitFor(() => expect(runtime.content.forgotten).toEqual(['r1']), 10_000);

    expect((await runtime.nodes.list({})).nodes.map(({ id }) => id)).not.toContain('r1');
    expect((await runtime.nodes.list({ states: [NodeState.GONE] })).nodes).toMatchObject([{ id: 'r1' }]);
    expect(await refusal(register('r1'))).toMatch(/^FailedPrecondition: node "r1": was removed/);
    expect(await refusal(runtime.nodes.heartbeat({ id: 'r1' }))).toMatch(/node "r1": was removed/);
    expect(await refusal(create('r1', 'late'))).toMatch(/node "r1": was removed/);
    expect((await runtime.fleetContainers.find({ id: 'doomed' }, inNamespace)).nodes).toEqual(['c1']);
  });

  it('that takes long keeps nobody from hearing that another node is silent', async () => {
    await register('r2');
    const { promise, resolve } = Promise.withResolvers<void>();
    runtime.content.hold = promise;
    try {
      await runtime.admin.remove({ id: 'r2', force: true });
      await register('r3');
      await vi.waitFor(async () => expect(await stateOf('r3')).toBe(NodeState.UNREACHABLE), 10_000);
      expect(runtime.content.forgotten).not.toContain('r2');
    } finally {
      resolve();
    }
    await vi.waitFor(() => expect(runtime.content.forgotten).toContain('r2'), 10_000);
  });
});

const inNamespace = { headers: { 'containerd-namespace': 'default' } };

describe('labels and versions', () => {
  it('of operators win, and are what a selector sees', async () => {
    await register('l1', { labels: { zone: 'a', disk: 'ssd' } });
    const { node } = await runtime.admin.setLabels({ id: 'l1', labels: { zone: 'b' } });
    expect(node!.labels).toEqual({ zone: 'b', disk: 'ssd' });
    expect(node!.operatorLabels).toEqual({ zone: 'b' });
    const select = async (selector: string) =>
      (await runtime.nodes.list({ selector })).nodes.map(({ id }) => id);
    expect(await select('zone=b,disk')).toEqual(['l1']);
    expect(await select('zone=a')).toEqual([]);
    expect(await refusal(runtime.nodes.list({ selector: '=' }))).toMatch(/^InvalidArgument: selector/);
    expect(await runtime.topics('l1')).toEqual(['/nodes/ready', '/nodes/labels']);
  });

  it('newer than the control plane are told of', async () => {
    const { node, controlPlaneVersion } = await register('v1', { softwareVersion: '99.0.0' });
    expect(node!.notice).toBe(
      `software 99.0.0 is newer than the control plane's ${controlPlaneVersion}: upgrade the control plane`,
    );
    expect((await register('v1', { softwareVersion: controlPlaneVersion })).node!.notice).toBe('');
  });

  it('another machine under the id is refused', async () => {
    await register('m1');
    expect(await refusal(register('m1', { machineId: 'other' }))).toBe(
      'FailedPrecondition: node "m1": belongs to another machine: failed precondition',
    );
    const { node } = await register('m1');
    expect(timestampMs(node!.lastSeenAt!)).toBeGreaterThan(0);
  });

  it('joining is refused while nobody listens for it', async () => {
    expect(await refusal(runtime.admin.createJoinToken({}))).toMatch(
      /^FailedPrecondition: joining: nobody listens/,
    );
  });
});
