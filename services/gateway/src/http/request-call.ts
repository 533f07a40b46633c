import type { CallOptions } from '@longshore/client';
import { parseIdentifier } from '@longshore/oci';
import { FLEET, Header } from '@longshore/proto/headers';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Nothing that is asked over HTTP takes longer when all is well. */
const TIMEOUT_MS = 10_000;

export interface ScopeQuery {
  namespace?: string;
  node?: string;
}

/**
 * Options for the gRPC calls of one request: in its scope, and over when its caller is gone. Throws InvalidArgument for
 * what can be no namespace.
 */
export function callOf(
  request: FastifyRequest,
  reply: FastifyReply,
  { namespace, node = FLEET }: ScopeQuery,
): CallOptions {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  const headers: Record<string, string> = { [Header.RequestId]: request.id, [Header.Node]: node };
  if (namespace !== undefined) headers[Header.Namespace] = parseIdentifier(namespace, 'namespace');
  return { headers, signal: gone.signal, deadline: new Date(Date.now() + TIMEOUT_MS) };
}
