import { parseIdentifier } from '@longshore/oci';
import { FLEET, Header } from '@longshore/proto/headers';
import type { CallOptions } from '@longshore/rpc';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Asker } from '../fleet/fan-out.ts';
import { givenNamespaceOf, namespaceOf } from './route-rule.ts';

/** What is asked over HTTP takes no longer when all is well, a pull apart. */
const TIMEOUT_MS = 10_000;

export interface ScopeQuery {
  namespace?: string;
  node?: string;
}

/** What the gRPC calls of one request have in common. */
export interface RequestCall extends Asker, CallOptions {
  signal: AbortSignal;
  headers: Record<string, string>;
}

/**
 * Options for the gRPC calls of one request: in its scope, and over when its caller is gone. The namespace is the one
 * that the route's rule was asked about. Throws InvalidArgument for what can be no namespace or node.
 */
export function callOf(
  request: FastifyRequest,
  reply: FastifyReply,
  scope: Pick<ScopeQuery, 'node'>,
): RequestCall & { deadline: Date } {
  return { ...openCallOf(request, reply, scope), deadline: new Date(Date.now() + TIMEOUT_MS) };
}

/** As {@link callOf}, for what takes as long as it takes. */
export function openCallOf(
  request: FastifyRequest,
  reply: FastifyReply,
  { node = FLEET }: Pick<ScopeQuery, 'node'>,
): RequestCall {
  const gone = new AbortController();
  // What its caller may repeat is done to its end, whoever still listens: the repetition is told what came of it.
  if (request.repeatable === undefined) reply.raw.once('close', () => gone.abort());
  const headers: Record<string, string> = {
    [Header.RequestId]: request.id,
    [Header.Caller]: request.caller.name,
    [Header.Node]: node === FLEET ? FLEET : parseIdentifier(node, 'node'),
  };
  // Who may do a thing for the fleet may do it in every namespace.
  const isOfNamespace = request.routeOptions.config.rule?.on === 'namespace';
  const namespace = isOfNamespace ? namespaceOf(request) : givenNamespaceOf(request);
  if (namespace !== undefined) headers[Header.Namespace] = parseIdentifier(namespace, 'namespace');
  return { headers, signal: gone.signal };
}
