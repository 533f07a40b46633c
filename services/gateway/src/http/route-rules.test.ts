import { createLogger, createMetrics } from '@longshore/kit';
import { expect, it, onTestFinished } from 'vitest';
import type { AccessAdmin } from '../access/access-admin.ts';
import type { Caller } from '../access/caller.ts';
import { GatewayLimits } from '../limits/gateway-limits.ts';
import { limitMetrics } from '../limits/metrics.ts';
import { createHttpApp } from './app.ts';
import type { Backends } from './backends.ts';

const someone: Caller = { kind: 'token', name: 'token/1', groups: [] };

const LIMITS = {
  callsPerSecond: 100,
  callsAtOnce: 10,
  maxConnections: 10,
  strikesPerSecond: 10,
  requestTimeoutMs: 1000,
  unreadTimeoutMs: 1000,
};

function openApp() {
  const log = createLogger('test', 'silent');
  const limits = new GatewayLimits(LIMITS, {
    metrics: limitMetrics(createMetrics('test')),
    onCut: () => undefined,
    log,
  });
  onTestFinished(() => limits.close());

  return createHttpApp({
    backends: {} as Backends,
    access: {
      authenticate: async () => someone,
      authorize: async () => undefined,
      authorizeHost: async () => undefined,
    },
    audit: { begin: async () => ({ end: () => undefined }), refused: () => undefined },
    limits: { gateway: limits, maxBodyBytes: 1024, origins: [] },
    accessAdmin: {} as AccessAdmin,
    isHealthy: () => true,
    tls: undefined,
    log,
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
