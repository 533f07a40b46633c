import { createLogger } from '@longshore/kit';
import { ANONYMOUS } from '@longshore/transport';
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
    judge: { watch: () => () => undefined },
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
