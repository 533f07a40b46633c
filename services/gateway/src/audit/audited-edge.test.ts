import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { notFound } from '@longshore/errors';
import { CreateImageRequestSchema } from '@longshore/proto/containerd/services/images/v1/images';
import { ExecRequestSchema } from '@longshore/proto/longshore/node/v1/stdio';
import { TestAuthority } from '@longshore/transport/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AuditTrail } from '../testing/audit-trail.ts';
import { bearerCall } from '../testing/bearer-call.ts';
import { GatewayFixture } from '../testing/gateway-fixture.ts';

const IMAGES = '/containerd.services.images.v1.Images';
const IMAGE = toBinary(
  CreateImageRequestSchema,
  create(CreateImageRequestSchema, {
    image: { name: 'redis:7', target: { digest: 'sha256:1' }, labels: { password: 'hunter2' } },
  }),
);
const directory = mkdtempSync(join(tmpdir(), 'longshore-audited-'));
const authority = new TestAuthority(directory);
const alice = authority.issue('user/alice');

let gateway: GatewayFixture;
let trail: AuditTrail;
let requests = 0;
let requestId = '';

beforeAll(async () => {
  const { tlsCert, tlsKey, tlsCa } = authority.issue('service/gateway');
  gateway = await GatewayFixture.start({
    LONGSHORE_GATEWAY_LISTEN: '127.0.0.1:0',
    LONGSHORE_TLS_CERT: tlsCert,
    LONGSHORE_TLS_KEY: tlsKey,
    LONGSHORE_TLS_CA: tlsCa,
  });
  trail = new AuditTrail(gateway.database.url);
});
beforeEach(() => {
  requestId = `request-${requests++}`;
  gateway.takeSeen();
});
afterEach(() => {
  for (const backend of Object.values(gateway.backends)) backend.trouble = async () => undefined;
});
afterAll(async () => {
  await trail.close();
  await gateway.close();
  rmSync(directory, { recursive: true });
});

/** As alice. */
function call(path: string, message: Uint8Array = new Uint8Array(), headers: Record<string, string> = {}) {
  const all = { 'containerd-namespace': 'shop', 'x-request-id': requestId, ...headers };
  const authorization = `Bearer ${gateway.token}`;
  return bearerCall(gateway.grpc, path, {
    tls: alice,
    headers: { ...all, authorization, ...headers },
    certificate: true,
    message,
  });
}

function ask(method: string, path: string, body?: object, token = gateway.token) {
  return fetch(`${gateway.http}${path}`, {
    method,
    headers: {
      'x-request-id': requestId,
      authorization: `Bearer ${token}`,
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
}

const told = () => trail.told(requestId);
const refusalsOfThis = async () =>
  (await trail.refusals()).filter((refusal) => refusal.requestId === requestId);

describe('over gRPC', () => {
  it('a call that changes something is kept with what it is about and how it ended', async () => {
    expect(await call(`${IMAGES}/Create`, IMAGE)).toMatchObject({ code: 0 });
    await expect.poll(told).toEqual([`token/gateway ${IMAGES.slice(1)}/Create shop/_ OK`]);
    const [event] = await trail.calls(requestId);
    expect(event?.subject).toEqual({ 'image.name': 'redis:7', 'image.target.digest': 'sha256:1' });
    expect(event?.address).toBe('127.0.0.1');
  });

  it('one whose request is a stream is kept with what its first message is about', async () => {
    const start = { containerId: 'web', execId: 'e1', args: ['sh', '-c', 'echo hunter2'] };
    const message = create(ExecRequestSchema, { message: { case: 'start', value: start } });
    const path = '/longshore.node.v1.StdioService/Exec';
    await call(path, toBinary(ExecRequestSchema, message), { 'longshore-node': 'n1' });
    await expect.poll(told).toEqual([`token/gateway ${path.slice(1)} shop/n1 FAILED Unimplemented`]);
    const [event] = await trail.calls(requestId);
    expect(event?.subject).toEqual({ 'start.container_id': 'web', 'start.exec_id': 'e1' });
  });

  it('one that fails says with what; a read is not kept', async () => {
    gateway.backends.image.trouble = async () => {
      throw notFound('image "redis:7"');
    };
    expect(await call(`${IMAGES}/Create`, IMAGE)).toMatchObject({ code: 5 });
    expect(await call(`${IMAGES}/List`)).toMatchObject({ code: 5 });
    await expect.poll(told).toEqual([`token/gateway ${IMAGES.slice(1)}/Create shop/_ FAILED NotFound`]);
  });

  it('one that cannot be kept is refused, and does nothing', async () => {
    await trail.pool.query('ALTER TABLE audit_intents RENAME TO away');
    try {
      expect(await call(`${IMAGES}/Create`, IMAGE)).toMatchObject({ code: 14 });
      expect((await ask('DELETE', '/v1/nodes/n1')).status).toBe(503);
      expect(gateway.takeSeen()).toEqual([]);
      expect(await call(`${IMAGES}/List`)).toMatchObject({ code: 0 });
    } finally {
      await trail.pool.query('ALTER TABLE away RENAME TO audit_intents');
    }
  });

  it('a refusal is kept, once for a flood', async () => {
    for (let n = 0; n < 20; n++) {
      expect(await call(`${IMAGES}/List`, undefined, { authorization: 'Bearer wrong' })).toMatchObject({
        code: 16,
      });
    }
    await expect.poll(async () => (await refusalsOfThis()).length).toBe(1);
    expect(await refusalsOfThis()).toMatchObject([
      { caller: '', address: '127.0.0.1', action: `${IMAGES.slice(1)}/List`, error: 'Unauthenticated' },
    ]);
  });
});

describe('over HTTP', () => {
  it('a request that changes something is kept, and a failed one says with what', async () => {
    expect((await ask('POST', '/v1/nodes/n1/cordon')).status).toBeLessThan(300);
    await expect.poll(told).toEqual(['token/gateway POST /v1/nodes/:id/cordon /_ OK']);
    expect((await ask('DELETE', '/v1/containers/none?namespace=shop&node=n1')).status).toBe(404);
    await expect.poll(told).toContain('token/gateway DELETE /v1/containers/:id shop/n1 FAILED NotFound');
    expect((await trail.calls(requestId)).at(-1)?.subject).toMatchObject({ id: 'none' });
  });

  it('refusals are kept: of strangers, and of what is no valid request', async () => {
    expect((await ask('GET', '/v1/nodes', undefined, 'wrong')).status).toBe(401);
    expect((await ask('POST', '/v1/images/pull', {})).status).toBe(400);
    await expect
      .poll(async () => (await refusalsOfThis()).map(({ caller, action, error }) => [caller, action, error]))
      .toEqual([
        ['', 'GET /v1/nodes', 'Unauthenticated'],
        ['token/gateway', 'POST /v1/images/pull', 'InvalidArgument'],
      ]);
  });
});
