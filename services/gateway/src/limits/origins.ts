import { LongshoreError } from '@longshore/errors';
import type { FastifyInstance, FastifyRequest } from 'fastify';

const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Refuses what a page of somebody else has a browser do: to change something, or to open a WebSocket. A browser says whose
 * page it is; other callers say nothing.
 */
export function refuseForeignPages(app: FastifyInstance, origins: readonly string[]): void {
  const allowed = new Set(origins);
  app.addHook('onRequest', async (request) => {
    if (SAFE.has(request.method) && request.headers.upgrade === undefined) return;
    if (!isForeign(request, allowed)) return;
    throw new LongshoreError('PermissionDenied', 'a page of another origin: permission denied');
  });
}

function isForeign({ headers }: FastifyRequest, allowed: ReadonlySet<string>): boolean {
  const { origin } = headers;
  if (origin === undefined) return headers['sec-fetch-site'] === 'cross-site';
  if (allowed.has(origin)) return false;
  return !URL.canParse(origin) || new URL(origin).host !== headers.host;
}
