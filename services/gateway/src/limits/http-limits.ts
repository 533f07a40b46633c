import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { isKind } from '@longshore/errors';
import type { FastifyInstance } from 'fastify';
import type { GatewayLimits } from './gateway-limits.ts';
import { LimitReached } from './limit-reached.ts';
import { StrikeBucket } from './strike-bucket.ts';

/** Of the head of a request, and of what TLS says before it. */
const HEAD_TIMEOUT_MS = 10_000;
/** How often Node looks for requests that take too long. */
const LOOK_MS = 1_000;

export interface HttpLimits {
  gateway: GatewayLimits;
  maxBodyBytes: number;
  /** Whose pages may have browsers change something here, besides its own. */
  origins: readonly string[];
}

/** Fastify's options for a server that strangers reach; `tls` as it is. */
export function limitedServer<T extends object>(
  { gateway, maxBodyBytes }: Pick<HttpLimits, 'gateway' | 'maxBodyBytes'>,
  tls: T | undefined,
) {
  const times = {
    headersTimeout: Math.min(HEAD_TIMEOUT_MS, gateway.requestTimeoutMs),
    requestTimeout: gateway.requestTimeoutMs,
    connectionsCheckingInterval: Math.min(LOOK_MS, gateway.requestTimeoutMs),
  };
  return {
    bodyLimit: maxBodyBytes,
    requestTimeout: gateway.requestTimeoutMs,
    ...(tls ? { https: { ...tls, ...times, handshakeTimeout: HEAD_TIMEOUT_MS } } : { http: times }),
  };
}

/** Holds callers to their limits over HTTP. To be called after the hook that says who asks. */
export function limitRequests(app: FastifyInstance, { gateway }: Pick<HttpLimits, 'gateway'>): void {
  limitConnections(app, gateway);
  app.addHook('onRequest', async ({ caller }, reply) => {
    if (caller.kind === 'anonymous') return;
    try {
      const release = await gateway.callers.admit(caller);
      if (reply.raw.closed) release();
      else reply.raw.once('close', release);
    } catch (error) {
      if (error instanceof LimitReached) reply.header('retry-after', Math.ceil(error.retryAfterMs / 1000));
      throw error;
    }
  });
}

function limitConnections(
  app: FastifyInstance,
  { maxConnections, slowReaders, strikesPerSecond }: GatewayLimits,
): void {
  const strikes = new WeakMap<IncomingMessage['socket'], StrikeBucket>();
  app.server.maxConnections = maxConnections;
  const isTls = 'setSecureContext' in app.server;
  app.server.on(isTls ? 'secureConnection' : 'connection', (socket: Duplex) =>
    slowReaders.watch(socket, () => socket.destroy()),
  );
  app.addHook('onError', async ({ raw: { socket } }, reply, error) => {
    if (!isKind(error, 'Unauthenticated')) return;
    const bucket = strikes.get(socket) ?? new StrikeBucket(strikesPerSecond);
    strikes.set(socket, bucket);
    // This answer is the last one there.
    if (!bucket.take(performance.now())) reply.header('connection', 'close');
  });
}
