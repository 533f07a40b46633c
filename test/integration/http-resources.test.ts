import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pushTestImages } from '../harness/images.ts';
import { type Stack, startStack } from '../harness/stack.ts';

let stack: Stack;
let busybox: string;
let url: string;
let token: string;
let node: string;

beforeAll(async () => {
  stack = await startStack();
  busybox = (await pushTestImages(stack.registry)).busybox;
  await stack.ctr.ok(['image', 'pull', '--plain-http', busybox]);
  url = stack.services.addresses('gateway').http!;
  token = readFileSync(join(stack.root, 'gateway.token'), 'utf8').trim();
  node = (await json('GET', '/nodes')).items[0].id;
});

afterAll(() => stack?.close());

interface Wish {
  body?: object | Buffer | undefined;
  headers?: Record<string, string>;
}

function call(method: string, path: string, { body, headers }: Wish = {}): Promise<Response> {
  const isBytes = body instanceof Buffer;
  const type = isBytes ? 'application/octet-stream' : 'application/json';
  return fetch(`${url}/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': type }), ...headers },
    ...(body && { body: isBytes ? new Uint8Array(body) : JSON.stringify(body) }),
  });
}

// biome-ignore lint/suspicious/noExplicitAny: any JSON; what it holds is for the assertions to say.
async function json(method: string, path: string, wish: Wish = {}, status = 200): Promise<any> {
  const response = await call(method, path, wish);
  const text = await response.text();
  expect({ status: response.status, text }).toMatchObject({ status });
  return text === '' ? undefined : JSON.parse(text);
}

async function tagOf(path: string): Promise<string> {
  const response = await call('GET', path);
  expect(response.status).toBe(200);
  return response.headers.get('etag') ?? '';
}

describe('a container', () => {
  it('is made from what a person says of it, runs, and is deleted', async () => {
    const image = encodeURIComponent(busybox);
    expect(await json('GET', `/images/${image}?node=${node}`)).toMatchObject({ name: busybox });
    const description = {
      id: 'described',
      image: busybox,
      args: ['sh', '-c', 'echo $GREETING; id -u; cat /data/note; hostname'],
      env: { GREETING: 'hello' },
      user: '1000:1000',
      hostname: 'box',
      mounts: [{ destination: '/data', source: stack.root, options: ['rbind', 'ro'] }],
      resources: { memory_bytes: 64 * 1024 * 1024, pids: 50, cpus: 0.5 },
      labels: { app: 'web' },
    };
    const made = await call('POST', `/containers?node=${node}`, { body: description });
    expect(made.status).toBe(201);
    expect(made.headers.get('location')).toBe('/v1/containers/described');
    expect(await made.json()).toMatchObject({
      id: 'described',
      node,
      status: 'none',
      labels: { app: 'web' },
      snapshot_key: 'described',
      spec: { hostname: 'box', linux: { resources: { memory: { limit: 67108864 }, pids: { limit: 50 } } } },
    });
    expect(await json('GET', `/snapshots/described?node=${node}`)).toMatchObject({
      kind: 'active',
    });
    expect(await json('POST', `/containers?node=${node}`, { body: description }, 409)).toMatchObject({
      kind: 'AlreadyExists',
    });
    expect(await json('GET', '/containers?filter=labels.app==web&status=true')).toMatchObject({
      items: [{ id: 'described', status: 'none' }],
      next_cursor: null,
      unreachable_nodes: [],
    });
    const output = await stack.ctr.ok(['task', 'start', 'described']);
    expect(output).toMatch(/^hello\n1000\n/);
    expect(output).toContain('box');
    expect(await json('DELETE', '/containers/described')).toMatchObject({ status: 'deleted' });
    await json('GET', '/containers/described', {}, 404);
    await json('DELETE', `/snapshots/described?node=${node}`, {}, 204);
  });

  it('that cannot be made leaves nothing', async () => {
    const before = await json('GET', `/snapshots?node=${node}`);
    for (const [body, status] of [
      [{ id: 'bad', image: 'none' }, 404],
      [{ id: 'bad', image: busybox, cap_add: ['CAP_NONSENSE'] }, 400],
      [{ id: 'bad/id', image: busybox }, 400],
      [{ id: 'bad' }, 400],
      [{ id: 'bad', image: busybox, snapshotter: 'none' }, 400],
      [{ id: 'bad', image: busybox, args: ['a'], spec: {} }, 400],
      [{ id: 'bad', image: busybox, labels: { 'longshore.io/node': 'x' } }, 400],
    ] as const) {
      await json('POST', `/containers?node=${node}`, { body }, status);
    }
    expect(await json('GET', `/snapshots?node=${node}`)).toEqual(before);
    expect((await json('GET', '/containers')).items).toEqual([]);
    expect((await json('GET', `/leases?node=${node}`)).items).toEqual([]);
  });

  it('is changed by one of two who read the same version', async () => {
    const spec = { ociVersion: '1.1.0', process: { cwd: '/', args: ['true'] } };
    await json('POST', `/containers?node=${node}`, { body: { id: 'tagged', spec } }, 201);
    const tag = await tagOf('/containers/tagged');
    const change = (n: number) =>
      call('PATCH', '/containers/tagged', {
        body: { labels: { winner: String(n) } },
        headers: { 'if-match': tag },
      });
    const statuses = (await Promise.all([1, 2, 3, 4].map(change))).map(({ status }) => status);
    expect(statuses.sort()).toEqual([200, 412, 412, 412]);
    const stale = { headers: { 'if-match': tag } };
    expect(await json('DELETE', '/containers/tagged', stale, 412)).toMatchObject({
      kind: 'FailedPrecondition',
    });
    await json('DELETE', '/containers/tagged', {
      headers: { 'if-match': await tagOf('/containers/tagged') },
    });
  });
});

describe('a list in pages', () => {
  it('has each container once, whatever comes and goes meanwhile', async () => {
    const spec = { ociVersion: '1.1.0' };
    const make = (id: string, app: string) =>
      json('POST', `/containers?node=${node}`, { body: { id, spec, labels: { app } } }, 201);
    for (const id of ['p1', 'p3', 'p5', 'p7']) await make(id, 'page');
    await make('p4', 'other');
    const first = await json('GET', '/containers?limit=2&filter=labels.app==page');
    expect(first.items.map(({ id }: { id: string }) => id)).toEqual(['p1', 'p3']);
    await make('p2', 'page');
    await make('p6', 'page');
    await json('DELETE', '/containers/p3');
    const next = `/containers?filter=labels.app==page&cursor=${first.next_cursor}`;
    const rest = await json('GET', next);
    expect(rest.items.map(({ id }: { id: string }) => id)).toEqual(['p5', 'p6', 'p7']);
    expect(rest.next_cursor).toBeNull();
    const matching = await json('GET', '/containers?filter=id~=p[12]&filter=labels.app==other');
    expect(matching.items.map(({ id }: { id: string }) => id)).toEqual(['p1', 'p2', 'p4']);
    const byNode = encodeURIComponent(`labels."longshore.io/node"==${node},id==p1`);
    expect((await json('GET', `/containers?filter=${byNode}`)).items).toHaveLength(1);
    expect(await json('GET', '/containers?cursor=bm9uZQ', {}, 400)).toMatchObject({
      detail: expect.stringContaining('cursor'),
    });
    for (const id of ['p1', 'p2', 'p4', 'p5', 'p6', 'p7']) await json('DELETE', `/containers/${id}`);
  });
});

describe('every list', () => {
  it('has on pages of one what it has as a whole, and its own cursors only', async () => {
    for (const id of ['paged', 'page', 'Page']) {
      await json('POST', '/leases', { body: { id, labels: { list: 'paged' } } }, 201);
      await stack.ctr.ok(['image', 'tag', busybox, `example.com/${id.toLowerCase()}:${id.length}${id[0]}`]);
      await stack.ctr.ok(['run', '-d', busybox, `${id}-task`, 'sleep', '100000']);
    }
    const lists = ['/images', '/content', '/leases', '/snapshots', '/tasks', '/containers'];
    const scoped = lists.slice(0, 2).map((list) => `${list}?node=${node}`);
    const filtered = ['/leases?filter=labels.list==paged', `/images?node=${node}&filter=name~=example`];
    for (const list of [...lists.slice(2), ...scoped, ...filtered]) {
      const with_ = (query: string) => `${list}${list.includes('?') ? '&' : '?'}${query}`;
      const { items, next_cursor: end } = await json('GET', with_('limit=1000'));
      expect([list, items.length > 2, end]).toEqual([list, true, null]);
      const seen: unknown[] = [];
      for (let cursor = ''; cursor !== undefined; ) {
        const page = await json('GET', with_(`limit=1${cursor && `&cursor=${cursor}`}`));
        expect([list, page.items.length]).toEqual([list, 1]);
        seen.push(...page.items);
        cursor = page.next_cursor ?? undefined;
      }
      expect(seen).toEqual(items);
      for (const wrong of ['x', Buffer.from('["a","b","c"]').toString('base64url'), '%20']) {
        await json('GET', with_(`cursor=${wrong}`), {}, 400);
      }
    }
    for (const id of ['paged', 'page', 'Page']) await json('DELETE', `/leases/${id}`, {}, 204);
    await stack.ctr.removeContainers();
  });
});

describe('a creation with an idempotency key', () => {
  it('is done once, and answered the same, also when its copies come together', async () => {
    const spec = { ociVersion: '1.1.0' };
    const wish = { body: { spec }, headers: { 'idempotency-key': 'once' } };
    const copies = await Promise.all([1, 2, 3].map(() => call('POST', `/containers?node=${node}`, wish)));
    const statuses = copies.map(({ status }) => status);
    expect(statuses).toContain(201);
    expect(statuses.filter((status) => status !== 201 && status !== 409)).toEqual([]);
    const again = await call('POST', `/containers?node=${node}`, wish);
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([201, 'true']);
    const { items } = await json('GET', '/containers');
    expect(items).toHaveLength(1);
    expect(await again.json()).toMatchObject({ id: items[0].id });
    const other = { ...wish, body: { spec, labels: { a: 'b' } } };
    expect(await json('POST', `/containers?node=${node}`, other, 422)).toMatchObject({
      errors: [{ in: 'header', field: 'idempotency-key' }],
    });
    await json('DELETE', `/containers/${items[0].id}`);
  });

  it('that failed may be tried again', async () => {
    const headers = { 'idempotency-key': 'retry' };
    const body = { name: 'retried', source: 'missing' };
    await json('POST', '/images', { body, headers }, 404);
    await json('POST', '/images', { body, headers }, 404);
  });
});

describe('images', () => {
  it('are tagged, changed and deleted by those who know their version', async () => {
    const at = `?node=${node}`;
    const made = await call('POST', `/images${at}`, { body: { name: 'tag/one:1', source: busybox } });
    expect([made.status, made.headers.get('location')]).toEqual([201, '/v1/images/tag%2Fone%3A1']);
    const path = `/images/tag%2Fone%3A1${at}`;
    const tag = await tagOf(path);
    expect((await call('GET', path, { headers: { 'if-none-match': tag } })).status).toBe(304);
    const changed = await json('PATCH', path, {
      body: { labels: { a: 'b' } },
      headers: { 'if-match': tag },
    });
    expect(changed.labels.a).toBe('b');
    await json('PATCH', path, { body: { labels: { a: null } }, headers: { 'if-match': tag } }, 412);
    expect((await json('PATCH', path, { body: { labels: { a: null } } })).labels.a).toBeUndefined();
    await json('DELETE', path, { headers: { 'if-match': tag } }, 412);
    await json('DELETE', path, {}, 204);
    const listed = await json('GET', `/images${at}&filter=name==${encodeURIComponent(busybox)}`);
    expect(listed.items).toHaveLength(1);
    await json('POST', `/images${at}`, { body: { name: 'neither' } }, 400);
  });
});

describe('namespaces', () => {
  it('are made, labelled and deleted', async () => {
    const made = await json('POST', '/namespaces', { body: { name: 'team', labels: { a: '1' } } }, 201);
    expect(made).toEqual({ name: 'team', labels: { a: '1' } });
    await json('POST', '/namespaces', { body: { name: 'team' } }, 409);
    const tag = await tagOf('/namespaces/team');
    const change = { body: { labels: { a: null, b: '2' } }, headers: { 'if-match': tag } };
    expect(await json('PATCH', '/namespaces/team', change)).toEqual({ name: 'team', labels: { b: '2' } });
    await json('PATCH', '/namespaces/team', change, 412);
    await json('DELETE', '/namespaces/team', { headers: { 'if-match': tag } }, 412);
    await json('DELETE', '/namespaces/team', {}, 204);
    await json('GET', '/namespaces/team', {}, 404);
  });
});

describe('content', () => {
  it('is stored as it comes, read in ranges, labelled, explained and collected', async () => {
    const bytes = randomBytes(700_000);
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const blob = `/content/${digest}/blob`;
    expect(await json('PUT', blob, { body: bytes }, 201)).toMatchObject({ digest, size: bytes.length });
    await json('PUT', blob, { body: bytes }, 200);
    const wrong = `/content/sha256:${'0'.repeat(64)}/blob`;
    await json('PUT', wrong, { body: bytes }, 400);
    await json('PUT', blob, { body: { a: 1 } }, 415);
    const whole = await call('GET', blob);
    expect(Buffer.from(await whole.arrayBuffer()).equals(bytes)).toBe(true);
    expect(whole.headers.get('etag')).toBe(`"${digest}"`);
    const part = await call('GET', blob, { headers: { range: 'bytes=300000-300009' } });
    expect([part.status, part.headers.get('content-range')]).toEqual([
      206,
      `bytes 300000-300009/${bytes.length}`,
    ]);
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(300_000, 300_010))).toBe(true);
    expect((await call('GET', blob, { headers: { range: 'bytes=700000-' } })).status).toBe(416);
    const head = await call('HEAD', blob);
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(bytes.length)]);
    const label = 'containerd.io/gc.root';
    await json('PATCH', `/content/${digest}`, { body: { labels: { [label]: 'yes' } } });
    const kept = await json('GET', `/collections/why?kind=content&key=${digest}`);
    expect(kept).toMatchObject({ chain: [{ kind: 'content', key: digest }], unreached_since: null });
    await json('PATCH', `/content/${digest}`, { body: { labels: { [label]: null } } });
    const lost = await json('GET', '/collections/dry-run?force=true');
    expect(lost.items).toContainEqual(expect.objectContaining({ kind: 'content', key: digest }));
    expect(await json('POST', '/collections', { body: { force: true } })).toMatchObject({ removed: 1 });
    await json('GET', `/content/${digest}`, {}, 404);
  });
});

describe('leases', () => {
  it('are made, hold something, and end', async () => {
    const { id } = await json('POST', '/leases', { body: { labels: { a: 'b' } } }, 201);
    const resource = { type: 'snapshots/overlayfs', id: 'some' };
    await json('POST', `/leases/${id}/resources`, { body: resource }, 204);
    expect((await json('GET', `/leases/${id}/resources`)).items).toEqual([resource]);
    await json('DELETE', `/leases/${id}/resources?type=snapshots%2Foverlayfs&id=some`, {}, 204);
    expect((await json('GET', `/leases/${id}/resources`)).items).toEqual([]);
    expect(await json('GET', `/leases/${id}`)).toMatchObject({ labels: { a: 'b' } });
    await json('DELETE', `/leases/${id}`, {}, 204);
    await json('GET', `/leases/${id}`, {}, 404);
  });
});

describe('quotas', () => {
  it('are set, and told with what there is', async () => {
    const set = await json('PUT', '/quotas/team', { body: { stored_bytes: 1000 } });
    expect(set).toMatchObject({ own: { stored_bytes: 1000, open_ingests: null }, max_stored_bytes: 1000 });
    expect((await json('GET', '/quotas')).items).toContainEqual(set);
    await json('PUT', '/quotas/team', { body: {} });
  });
});
