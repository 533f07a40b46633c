import { createLogger } from '@longshore/kit';
import { ANONYMOUS } from '@longshore/transport';
import { expect, it } from 'vitest';
import type { AccessAdmin } from '../access/access-admin.ts';
import type { Caller } from '../access/caller.ts';
import type { IdempotencyRepository } from '../storage/postgres/idempotency-repository.ts';
import { wideLimits } from '../testing/http-limits.ts';
import { createHttpApp } from './app.ts';
import type { Backends } from './backends.ts';

const someone: Caller = { kind: 'token', name: 'token/1', groups: [] };

function openApp() {
  return createHttpApp({
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
    pingDatabase: async () => undefined,
    isHealthy: () => true,
    tls: undefined,
    certificates: { peerOn: () => ANONYMOUS },
    log: createLogger('test', 'silent'),
  });
}

it('every route of the HTTP API has a rule', async () => {
  await using app = await openApp();
  await app.ready();
  expect(app.hasRoute({ method: 'GET', url: '/v1/version' })).toBe(true);
  expect(app.routesWithoutRule).toEqual([]);
});

it('a route without one is refused to everyone', async () => {
  await using app = await openApp();
  app.get('/forgotten', async () => 'secret');
  expect(app.routesWithoutRule).toEqual(['GET /forgotten', 'HEAD /forgotten']);
  const answer = await app.inject('/forgotten');
  expect({ status: answer.statusCode, kind: answer.json().kind }).toEqual({
    status: 403,
    kind: 'PermissionDenied',
  });
});
