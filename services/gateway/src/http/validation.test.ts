import { readFileSync } from 'node:fs';
import { createLogger } from '@longshore/kit';
import { ANONYMOUS } from '@longshore/transport';
import { Validator } from '@seriousme/openapi-schema-validator';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AccessAdmin } from '../access/access-admin.ts';
import type { Caller } from '../access/caller.ts';
import type { IdempotencyRepository } from '../storage/postgres/idempotency-repository.ts';
import { wideLimits } from '../testing/http-limits.ts';
import { createHttpApp } from './app.ts';
import type { Backends } from './backends.ts';

const someone: Caller = { kind: 'token', name: 'token/1', groups: [] };

let app: FastifyInstance;

beforeAll(async () => {
  app = await createHttpApp({
    backends: {} as Backends,
    access: {
      authenticate: async () => someone,
      authorize: async () => undefined,
      authorizeHost: async () => undefined,
    },
    audit: { begin: async () => ({ end: () => undefined }), refused: () => undefined },
    limits: wideLimits(),
    accessAdmin: {} as AccessAdmin,
    auditRecords: { list: async () => [] },
    judge: { watch: () => () => undefined },
    entries: { authorize: async () => undefined },
    answers: {} as IdempotencyRepository,
    certificates: { peerOn: () => ANONYMOUS },
    isHealthy: () => true,
    pingDatabase: () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.7:5432')),
    tls: undefined,
    log: createLogger('test', 'silent'),
  });
});

afterAll(() => app.close());

interface Sent {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  body?: unknown;
  type?: string;
}

async function problemOf(url: string, { method = 'GET', body, type = 'application/json' }: Sent = {}) {
  const payload = typeof body === 'string' || body === undefined ? body : JSON.stringify(body);
  const answer = await app.inject({
    method,
    url: `/v1${url}`,
    ...(payload !== undefined && { payload, headers: { 'content-type': type } }),
  });
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  const { status, detail, errors, kind } = answer.json();
  expect(status).toBe(answer.statusCode);
  return { status, detail, errors, kind };
}

interface Operation {
  operationId: string;
  parameters?: { in: string; name: string }[];
  responses: object;
}

/** By method and path. */
function operationsOf(document: { paths: Record<string, Record<string, Operation>> }): [string, Operation][] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [
      `${method.toUpperCase()} ${path}`,
      operation,
    ]),
  );
}

/**
 * Of the first column of its tables: "`GET`, `POST /v1/x`", "`POST …/task/pause`, `resume`": a path is of all the methods before it, and a
 * word without a slash stands in the place of the last part of the path before.
 */
function routesOfReadme(): string[] {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const cells = readme
    .split('\n')
    .flatMap((line) => /^\| (`(?:GET|POST|PUT|PATCH|DELETE|HEAD)[^|]*)\|/.exec(line)?.[1] ?? []);
  return cells.flatMap((cell) => {
    let methods: string[] = [];
    let path = '';
    return Array.from(cell.matchAll(/`([^`]+)`/g), ([, said = '']) => said).flatMap((said) => {
      const [, method, given] = /^([A-Z]+)?(?: ?(\S+))?$/.exec(said) ?? [];
      if (method) methods = path === '' ? [...methods, method] : [method];
      if (method) path = '';
      if (!given) return [];
      path = given.includes('/') ? given.replace('…', '/v1/containers/:id') : path.replace(/[^/]+$/, given);
      // The document leaves them to GET.
      return methods.filter((each) => each !== 'HEAD').map((each) => `${each} ${path}`);
    });
  });
}

describe('a request that is not as described', () => {
  it.each([
    ['/images?limt=1', {}, 'query', 'limt', 'is not known'],
    ['/version?x=1', {}, 'query', 'x', 'is not known'],
    ['/images?limit=0', {}, 'query', 'limit', 'must be >= 1'],
    ['/images?limit=a', {}, 'query', 'limit', 'must be integer'],
    ['/nodes?state=asleep', {}, 'query', 'state', expect.stringContaining('must be one of')],
    ['/images', { method: 'POST', body: { nam: 'a' } }, 'body', 'name', 'is required'],
    ['/images', { method: 'POST', body: { name: 'a', x: 1 } }, 'body', 'x', 'is not known'],
    ['/images', { method: 'POST', body: { name: 7 } }, 'body', 'name', 'must be string'],
    ['/leases', { method: 'POST', body: { labels: { a: 1 } } }, 'body', 'labels/a', 'must be string'],
    [
      '/containers?node=n1',
      { method: 'POST', body: { image: 'a', mounts: [{ destination: 'x' }] } },
      'body',
      'mounts/0/destination',
      expect.stringContaining('must match'),
    ],
    ['/images', { method: 'POST', body: '[]' }, 'body', '', 'must be object'],
    ['/nodes/n1/cordon', { method: 'POST', body: {} }, 'body', '', 'must be null'],
    ['/leases/l', { method: 'DELETE', body: {} }, 'body', '', 'must be null'],
  ] as const)('names the field: %s %j', async (url, sent, where, field, detail) => {
    const problem = await problemOf(url, sent as Sent);
    expect(problem).toMatchObject({ status: 400, kind: 'InvalidArgument' });
    expect(problem.errors).toEqual([{ in: where, field, detail }]);
    if (field !== '') expect(problem.detail).toContain(JSON.stringify(field));
  });

  it('is refused for a body that is no JSON, of another type, or too large', async () => {
    const to = (sent: Sent) => problemOf('/images', { method: 'POST', ...sent });
    expect(await to({ body: '{"name":' })).toMatchObject({ status: 400 });
    expect(await to({ body: '{"__proto__":{"a":1},"name":"a"}' })).toMatchObject({ status: 400 });
    expect(await to({ body: 'name=a', type: 'application/x-www-form-urlencoded' })).toMatchObject({
      status: 415,
    });
    expect(await to({ body: '{"name":"a"}', type: 'text/plain' })).toMatchObject({ status: 415 });
    expect(await to({ body: { name: 'a'.repeat(2 ** 20) } })).toMatchObject({ status: 413 });
  });
});

describe('a request for what there is not', () => {
  it('is told which methods a path has, by OPTIONS too', async () => {
    const ask = (method: 'DELETE' | 'OPTIONS' | 'POST', url: string) => app.inject({ method, url });
    const refused = await ask('DELETE', '/v1/images?limit=1');
    expect([refused.statusCode, refused.headers.allow]).toEqual([405, 'GET, HEAD, OPTIONS, POST']);
    expect(refused.json()).toMatchObject({
      status: 405,
      detail: expect.stringContaining('DELETE /v1/images'),
    });
    const told = await ask('OPTIONS', '/v1/images/docker.io%2Fx:1');
    expect([told.statusCode, told.headers.allow]).toEqual([204, 'DELETE, GET, HEAD, OPTIONS, PATCH']);
    for (const url of ['/v1/images/docker.io/x:1', '/v1/images/', '/v1/', '/v1/nothing', '/nothing']) {
      expect([url, (await ask('OPTIONS', url)).statusCode]).toEqual([url, 404]);
    }
  });

  it('is a problem, and short, when its path cannot be read', async () => {
    for (const [name, status] of [
      ['%E0%A4%A', 400],
      ['x'.repeat(2000), 414],
    ] as const) {
      const answer = await app.inject(`/v1/images/${name}`);
      expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
      expect(answer.json()).toMatchObject({
        status,
        kind: 'InvalidArgument',
        request_id: expect.any(String),
      });
      expect(answer.body).not.toContain(name);
    }
  });
});

describe('a request that gives what is not its to give', () => {
  it('is refused: a label that is reserved', async () => {
    const body = { labels: { 'longshore.io/node': 'x' } };
    expect(await problemOf(`/content/sha256:${'a'.repeat(64)}`, { method: 'PATCH', body })).toMatchObject({
      status: 400,
      detail: expect.stringContaining('label "longshore.io/node": it is reserved'),
    });
  });
});

describe('readiness', () => {
  it('says what is missing, and no addresses', async () => {
    const ready = await app.inject('/readyz');
    expect([ready.statusCode, ready.json()]).toEqual([503, { ready: false, missing: ['database'] }]);
    expect((await app.inject('/livez')).statusCode).toBe(200);
  });
});

describe('the page of the API', () => {
  it('is made of what is here', async () => {
    const page = await app.inject('/docs');
    const html =
      page.statusCode === 200 ? page : await app.inject(String(page.headers.location).replace(/^\.\//, '/'));
    expect(html.statusCode).toBe(200);
    expect(html.headers['content-security-policy']).toContain("default-src 'self'");
    expect(html.headers['content-security-policy']).not.toContain('upgrade-insecure-requests');
    const links = Array.from(html.body.matchAll(/(?:src|href)="([^"]+)"/g), ([, link]) => link!);
    expect(links.length).toBeGreaterThan(3);
    for (const link of links) expect(link).toMatch(/^\.?\/(?!\/)/);
  });

  it('is a valid document of OpenAPI 3.1, in which each operation has a name and declares what its path takes', async () => {
    const document = (await app.inject('/openapi.json')).json();
    expect(await new Validator().validate(structuredClone(document))).toMatchObject({ valid: true });
    const names = new Set<string>();
    for (const [route, { operationId, parameters = [], responses }] of operationsOf(document)) {
      expect(names).not.toContain(operationId);
      names.add(operationId);
      const declared = parameters.filter(({ in: place }) => place === 'path').map(({ name }) => `{${name}}`);
      expect([route, declared.sort()]).toEqual([route, (route.match(/\{\w+\}/g) ?? []).sort()]);
      expect([route, Object.keys(responses)]).toEqual([route, expect.arrayContaining(['default'])]);
    }
    expect(names.size).toBeGreaterThan(50);
    const headersOf = (wanted: string) =>
      (operationsOf(document).find(([route]) => route === wanted)?.[1].parameters ?? [])
        .filter(({ in: place }) => place === 'header')
        .map(({ name }) => name);
    expect(headersOf('POST /v1/containers/run')).toEqual(['Idempotency-Key']);
    expect(headersOf('PATCH /v1/images/{name}')).toEqual(['If-Match']);
  });

  it('has the routes of the README, and the README those of the document', async () => {
    const document = (await app.inject('/openapi.json')).json();
    const described = operationsOf(document).map(([route]) => route.replaceAll(/\{(\w+)\}/g, ':$1'));
    expect(routesOfReadme().sort()).toEqual(described.sort());
  });

  it('describes bodies that take nothing else than is said', async () => {
    const document = (await app.inject('/openapi.json')).json();
    const open: string[] = [];
    const look = (schema: Record<string, unknown>, at: string) => {
      if (schema.properties && schema.additionalProperties !== false) open.push(at);
      for (const [name, below] of Object.entries(schema.properties ?? {})) look(below, `${at}/${name}`);
      if (schema.items) look(schema.items as Record<string, unknown>, `${at}[]`);
    };
    for (const [path, methods] of Object.entries<Record<string, Record<string, never>>>(document.paths)) {
      for (const [method, { requestBody }] of Object.entries(methods)) {
        const { content = {} } = (requestBody ?? {}) as { content?: Record<string, { schema: never }> };
        for (const { schema } of Object.values(content)) look(schema ?? {}, `${method} ${path}`);
      }
    }
    expect(open).toEqual([]);
  });
});
