import { NodeState } from '@longshore/proto/longshore/runtime/v1/nodes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GatewayFixture } from '../testing/gateway-fixture.ts';

let gateway: GatewayFixture;

beforeAll(async () => {
  gateway = await GatewayFixture.start({ LONGSHORE_GATEWAY_NODE_TIMEOUT_MS: '300' });
  await gateway.addNode('n2');
  gateway.backends.runtime.registry.nodes.set('gone', `unix://${gateway.directory}/nobody.sock`);
});

afterAll(() => gateway.close());

/** What the control plane was asked last. */
const asked = () => gateway.backends.runtime.registry.asked.at(-1);

// biome-ignore lint/suspicious/noExplicitAny: any JSON; what it holds is for the assertions to say.
async function getJson(path: string): Promise<any> {
  return (await gateway.get(path)).json();
}

describe('nodes', () => {
  it('are told with all that is known of them', async () => {
    gateway.backends.runtime.registry.states.set('n2', NodeState.UNREACHABLE);
    expect(await getJson('/v1/nodes/n2')).toMatchObject({
      id: 'n2',
      state: 'unreachable',
      cordoned: false,
      capacity: { cpus: 4, memory_bytes: 2 ** 33, disk_bytes: 0 },
      notice: '',
    });
    gateway.backends.runtime.registry.states.clear();
    expect((await gateway.get('/v1/nodes/none')).status).toBe(404);
    await gateway.get('/v1/nodes?selector=zone%3Da&state=ready');
    expect(asked()).toMatchObject({ selector: 'zone=a', states: [NodeState.READY] });
    expect((await gateway.get('/v1/nodes?state=asleep')).status).toBe(400);
  });

  it('are cordoned, drained, labelled and removed', async () => {
    const cordoned = await gateway.send('POST', '/v1/nodes/n1/cordon');
    expect(await cordoned.json()).toMatchObject({ id: 'n1', cordoned: true });
    expect(await (await gateway.send('POST', '/v1/nodes/n1/uncordon')).json()).toMatchObject({
      cordoned: false,
    });
    const drained = await gateway.send('POST', '/v1/nodes/n1/drain', { grace_seconds: 1.5 });
    expect(await drained.json()).toMatchObject({ state: 'draining' });
    expect(asked()).toMatchObject({ id: 'n1', grace: { seconds: 1n, nanos: 500_000_000 } });
    expect((await gateway.send('POST', '/v1/nodes/n1/drain')).status).toBe(200);
    const labelled = await gateway.send('PUT', '/v1/nodes/n1/labels', { labels: { zone: 'b' } });
    expect(await labelled.json()).toMatchObject({ labels: { zone: 'b' } });
    expect(await (await gateway.send('DELETE', '/v1/nodes/n1?force=true')).json()).toMatchObject({
      state: 'gone',
    });
    expect(asked()).toMatchObject({ id: 'n1', force: true });
  });
});

describe('join tokens', () => {
  it('are told once, with the command that uses them', async () => {
    const made = await gateway.send('POST', '/v1/join-tokens', { ttl_seconds: 60, labels: { a: 'b' } });
    expect(made.headers.get('cache-control')).toBe('no-store');
    expect(await made.json()).toEqual({
      id: 't1',
      token: 'secret.a/b',
      expires_at: '1970-01-01T01:00:00.000Z',
      server: 'cp:7000',
      command: 'printf %s secret.a/b | node services/agent/src/main.ts join --server cp:7000',
    });
    expect(asked()).toMatchObject({ ttl: { seconds: 60n }, labels: { a: 'b' }, nodeId: '' });
    const { items: tokens } = await getJson('/v1/join-tokens');
    expect(tokens).toEqual([
      {
        id: 't1',
        node_id: 'n7',
        labels: {},
        created_at: '1970-01-01T00:00:01.000Z',
        expires_at: '1970-01-01T00:00:02.000Z',
        used_by: '',
      },
    ]);
    expect((await gateway.send('DELETE', '/v1/join-tokens/t1')).status).toBe(204);
    expect((await gateway.send('POST', '/v1/join-tokens', { ttl_seconds: 700_000 })).status).toBe(400);
  });
});

describe('certificates', () => {
  it('are revoked by serial number or by identity', async () => {
    expect((await gateway.send('POST', '/v1/certificates/revoke', { identity: 'node/n1' })).status).toBe(204);
    expect(asked()).toMatchObject({ what: { case: 'identity', value: 'node/n1' } });
    expect((await gateway.send('POST', '/v1/certificates/revoke', { serial: '0af1' })).status).toBe(204);
    expect(asked()).toMatchObject({ what: { case: 'serial', value: '0af1' } });
    for (const body of [{}, { serial: '1', identity: 'node/n1' }, { serial: 'XY' }]) {
      expect((await gateway.send('POST', '/v1/certificates/revoke', body)).status).toBe(400);
    }
  });
});

describe('a fleet pull', () => {
  async function pull(body: object) {
    const response = await gateway.send('POST', '/v1/images/pull', body);
    const text = await response.text();
    const events = text.split('\n\n').filter(Boolean);
    return { response, text, events: events.map((event) => event.split('\n')[0]) };
  }

  it('tells its progress as it comes, and what became of every node', async () => {
    const { response, text, events } = await pull({
      reference: 'redis:7',
      selector: 'zone=a',
      max_concurrent: 3,
    });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(events).toEqual(['event: progress', 'event: progress', 'event: report']);
    const [first, , report] = text.matchAll(/^data: (.*)$/gm).map((match) => JSON.parse(match[1]!));
    expect(first).toMatchObject({ phase: 'fetching', blobs: [{ offset: 1, total: 2, status: 'fetching' }] });
    expect(report).toEqual({
      digest: 'sha256:1',
      nodes: [
        { node: 'n1', ok: true },
        { node: 'n2', ok: false, error: { kind: 'Unavailable', detail: 'node "n2": away: unavailable' } },
      ],
    });
    expect(gateway.backends.image.registry.asked.at(-1)).toMatchObject({
      reference: 'redis:7',
      selector: 'zone=a',
      maxConcurrent: 3,
    });
  });

  it('that fails at once has a status; one that fails later ends with the problem', async () => {
    const { response, text } = await pull({ reference: 'none' });
    expect(response.status).toBe(404);
    expect(JSON.parse(text)).toMatchObject({ kind: 'NotFound', detail: 'image "none": not found' });
    const broken = await pull({ reference: 'breaks' });
    expect(broken.events).toEqual(['event: progress', 'event: problem']);
    expect(broken.text).toContain('"kind":"NotFound"');
  });
});

describe('containers of the fleet', () => {
  it('are listed over all nodes, by the records where a node is away', async () => {
    gateway.backends.runtime.registry.marked.add('gone/of-gone');
    const answer = await getJson('/v1/containers?filter=id~%3Dof&status=true');
    const brief = ({ id, node, status }: Record<string, string>) => `${node}/${id} ${status}`;
    expect(answer.items.map(brief)).toEqual([
      'n1/of-agent running',
      'n2/of-n2 running',
      'gone/of-gone deleting',
    ]);
    expect(answer.items[2].labels).toEqual({});
    expect(answer.unreachable_nodes).toEqual(['gone']);
    expect((await gateway.get('/v1/containers?node=none')).status).toBe(404);
  });

  it('are deleted where they are, or marked', async () => {
    const { found, marked } = gateway.backends.runtime.registry;
    found.set('of-n2', ['n2']).set('lost', ['gone']);
    const deleted = await gateway.send('DELETE', '/v1/containers/of-n2');
    expect([deleted.status, await deleted.json()]).toEqual([
      200,
      { id: 'of-n2', node: 'n2', status: 'deleted' },
    ]);
    const deleting = await gateway.send('DELETE', '/v1/containers/lost');
    expect([deleting.status, await deleting.json()]).toEqual([
      202,
      { id: 'lost', node: 'gone', status: 'deleting' },
    ]);
    expect(marked).toContain('gone/lost');
    expect((await gateway.send('DELETE', '/v1/containers/none')).status).toBe(404);
  });
});
