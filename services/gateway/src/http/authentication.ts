import { LongshoreError } from '@longshore/errors';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { AccessControl } from '../access/access-control.ts';
import type { Caller } from '../access/caller.ts';
import { type ContainerParts, hostReasonOfContainer } from '../access/host/container-reason.ts';
import type { EntryGuard } from '../access/host/entry-guard.ts';
import type { ClientCertificates } from './client-certificates.ts';
import { namespaceOf } from './route-rule.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; `anonymous` only where anyone may. */
    caller: Caller;
    /** Throws PermissionDenied when a container of this record would give its owner the host, and the caller may not. */
    requireHost(container: ContainerParts): Promise<void>;
    /** Throws PermissionDenied when the container has the host, and the caller may not; to be asked before it is entered. */
    requireEntry(container: { id: string; node: string }): Promise<void>;
  }
  interface FastifyInstance {
    /** Methods and paths of those that are refused to everyone, because nobody has decided about them. */
    routesWithoutRule: string[];
  }
}

const STRANGER: Caller = { kind: 'anonymous', name: 'anonymous', groups: [] };

/**
 * Lets requests through by the rules of their routes: who asks is found out before the body is read, what they may once
 * the request is valid, since the rule must see the namespace that the handler will use. A route without a rule is nobody's.
 */
export function requireAccess(
  app: FastifyInstance,
  access: Pick<AccessControl, 'authenticate' | 'authorize' | 'authorizeHost'>,
  {
    certificates,
    entries,
  }: { certificates: Pick<ClientCertificates, 'peerOn'>; entries: Pick<EntryGuard, 'authorize'> },
): void {
  app.decorateRequest('caller', null as unknown as Caller);
  app.decorateRequest('requireHost', async function (container) {
    const reason = hostReasonOfContainer(container);
    if (reason) await access.authorizeHost(this.caller, namespaceOf(this), reason);
  });
  app.decorateRequest('requireEntry', async function ({ id, node }) {
    await entries.authorize(this.caller, { namespace: namespaceOf(this), node, id, requestId: this.id });
  });
  app.decorate('routesWithoutRule', []);
  app.addHook('onRoute', ({ method, url, config }) => {
    if (!config?.rule) app.routesWithoutRule.push(`${method} ${url}`);
  });
  const authenticate = async (request: FastifyRequest, reply: FastifyReply) => {
    const { authorization } = request.headers;
    try {
      // Also with a token: a connection with a certificate that is worthless is not to be used.
      return await access.authenticate(certificates.peerOn(request.raw.socket), authorization);
    } catch (error) {
      reply.header('www-authenticate', 'Bearer realm="longshore"');
      throw error;
    }
  };
  app.addHook('onRequest', async (request, reply) => {
    request.caller = STRANGER;
    if (!isOpen(request)) request.caller = await authenticate(request, reply);
  });
  app.addHook('preHandler', async (request) => {
    const { rule } = request.routeOptions.config;
    if (request.is404 || isOpen(request)) return;
    if (!rule) throw new LongshoreError('PermissionDenied', 'the route has no rule: permission denied');
    await access.authorize(request.caller, rule, rule.on === 'namespace' ? namespaceOf(request) : '');
  });
}

function isOpen(request: FastifyRequest): boolean {
  return request.routeOptions.config.rule?.on === 'nothing';
}
