import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GatewayFixture } from '../testing/gateway-fixture.ts';

let gateway: GatewayFixture;

beforeAll(async () => {
  gateway = await GatewayFixture.start();
});

afterAll(() => gateway.close());

// biome-ignore lint/suspicious/noExplicitAny: any JSON; what it holds is for the assertions to say.
async function getJson(path: string): Promise<any> {
  const response = await gateway.get(path);
  expect(response.status).toBe(200);
  return response.json();
}

describe('GET /healthz', () => {
  it('is open', async () => {
    const response = await gateway.get('/healthz', null);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ healthy: true });
  });
});

describe('everything under /v1/', () => {
  it.each(['/v1/version', '/v1/nodes', '/v1/nothing', '/v1/'])('needs the token: %s', async (path) => {
    for (const token of [null, 'wrong', '']) {
      const response = await gateway.get(path, token);
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Bearer realm="longshore"');
      expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(await response.json()).toMatchObject({
        status: 401,
        title: 'Unauthorized',
        kind: 'Unauthenticated',
      });
    }
    expect(
      (await fetch(`${gateway.http}${path}`, { headers: { authorization: gateway.token } })).status,
    ).toBe(401);
  });

  it('takes the token whatever the case of its scheme', async () => {
    const headers = { authorization: `bearer  ${gateway.token}` };
    expect((await fetch(`${gateway.http}/v1/version`, { headers })).status).toBe(200);
  });
});

describe('the routes', () => {
  it('tell the version', async () => {
    expect(await getJson('/v1/version')).toEqual({
      version: expect.stringMatching(/^\d/),
      revision: 'longshore',
    });
  });

  it('list the nodes', async () => {
    const { items } = await getJson('/v1/nodes');
    expect(items).toMatchObject([
      { id: 'n1', address: expect.stringMatching(/^unix:/), cgroup_version: 2, labels: {} },
    ]);
  });

  it("list what the fleet's own scope has, and what a node has, by its agent", async () => {
    expect(await getJson('/v1/images')).toMatchObject({ items: [{ name: 'of image' }] });
    expect(await getJson('/v1/images?namespace=k8s.io&node=n1')).toEqual({
      next_cursor: null,
      items: [
        {
          name: 'of agent',
          labels: {},
          target: { media_type: 'm', digest: 'sha256:1', size: 7, annotations: {} },
          created_at: '1970-01-01T00:00:01.000Z',
          updated_at: '1970-01-01T00:00:01.000Z',
        },
      ],
    });
    expect(await getJson('/v1/namespaces')).toEqual({
      next_cursor: null,
      items: [{ name: 'default', labels: { of: 'content' } }],
    });
    expect(await getJson('/v1/namespaces?node=n1')).toMatchObject({
      items: [{ labels: { of: 'agent' } }],
    });
    expect(await getJson('/v1/containers?node=n1&status=true')).toMatchObject({
      items: [{ id: 'of-agent', node: 'n1', status: 'running', runtime: 'r' }],
      unreachable_nodes: [],
    });
    expect(gateway.takeSeen().map(({ at, namespace, node }) => [at, namespace, node])).toEqual(
      expect.arrayContaining([
        ['image Images/List', 'default', '_'],
        ['agent Images/List', 'k8s.io', 'n1'],
        ['runtime ContainerService/ListPage', 'default', '_'],
        ['agent Tasks/Get', 'default', 'n1'],
      ]),
    );
  });
});

describe('a refusal', () => {
  async function problem(path: string, headers: Record<string, string> = {}) {
    const response = await fetch(`${gateway.http}${path}`, {
      headers: { authorization: `Bearer ${gateway.token}`, ...headers },
    });
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    const body = await response.json();
    expect(body).toMatchObject({ type: 'about:blank', status: response.status });
    return body;
  }

  it('of a service keeps its kind and words, and names the request', async () => {
    expect(await problem('/v1/images?node=n2', { 'x-request-id': 'mine' })).toEqual({
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      detail: 'node "n2": not found',
      kind: 'NotFound',
      request_id: 'mine',
    });
    for (const query of ['node=a/b', 'node=%C3%BC', 'namespace=a/b', 'namespace=%C3%BC', 'namespace=']) {
      expect(await problem(`/v1/images?${query}`)).toMatchObject({ status: 400, kind: 'InvalidArgument' });
    }
  });

  it('of an unknown route says so', async () => {
    expect(await problem('/v1/nothing?x=1')).toMatchObject({
      status: 404,
      detail: 'route GET /v1/nothing: not found',
    });
    expect(await problem('/elsewhere')).toMatchObject({ status: 404 });
  });

  it('of a query that is not as described says why', async () => {
    expect(await problem('/v1/images?namespace=a&namespace=b')).toMatchObject({
      status: 400,
      kind: 'InvalidArgument',
      detail: expect.stringContaining('namespace'),
    });
  });

  it('says Unavailable for a service that is away', async () => {
    await gateway.backends.image.close();
    expect(await problem('/v1/images')).toMatchObject({
      status: 503,
      title: 'Service Unavailable',
      kind: 'Unavailable',
    });
  });
});

describe('GET /openapi.json', () => {
  it('is open, and describes every route with its answers', async () => {
    const document = await getJson('/openapi.json');
    expect((await gateway.get('/openapi.json', null)).status).toBe(200);
    expect(document.openapi).toBe('3.1.0');
    const operations = Object.entries<Record<string, Record<string, never>>>(document.paths).flatMap(
      ([path, methods]) =>
        Object.entries(methods).map(([method, described]) => ({ name: `${method} ${path}`, described })),
    );
    expect(operations.length).toBeGreaterThan(30);
    const ids = operations.map(({ described }) => described.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { described } of operations) {
      expect(described).toMatchObject({ summary: expect.any(String), operationId: expect.any(String) });
      const statuses = Object.keys(described.responses!);
      expect(statuses[0]).toMatch(/^(101|20[0-4])$/);
      expect(statuses.at(-1)).toBe('default');
    }
    expect(document.components.securitySchemes.token).toEqual({ type: 'http', scheme: 'bearer' });
  });
});
