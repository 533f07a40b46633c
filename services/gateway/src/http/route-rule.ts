import type { FastifyRequest } from 'fastify';
import type { Need, Rule } from '../access/rule.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may use the route; one without is refused to everyone. */
    rule?: Rule;
    /** It makes something: a caller that repeats it with the same `Idempotency-Key` gets the first answer again. */
    isCreation?: boolean;
    /** It tells of what it made as long as that goes on, and so tells a repetition by itself. */
    goesOn?: boolean;
    /** It changes a record that has versions, and takes `If-Match`. */
    isVersioned?: boolean;
  }
}

/** A route's `config`. */
export interface RouteConfig {
  rule: Rule;
  isCreation?: boolean;
  goesOn?: boolean;
  isVersioned?: boolean;
}

export const FOR_ANYONE: RouteConfig = { rule: { on: 'nothing' } };
export const FOR_ONESELF: RouteConfig = { rule: { on: 'self' } };

/** For routes of what is in a namespace, which {@link namespaceOf} tells. */
export function inNamespace(need: Need): RouteConfig {
  return { rule: { on: 'namespace', need } };
}

/** For routes of what is no namespace's. */
export function ofFleet(need: Need): RouteConfig {
  return { rule: { on: 'fleet', need } };
}

/** Of a route that makes something, and answers with a short document. */
export function creating(config: RouteConfig): RouteConfig {
  return { ...config, isCreation: true };
}

/** Of a route that changes what has an `ETag`. */
export function versioned(config: RouteConfig): RouteConfig {
  return { ...config, isVersioned: true };
}

export const DEFAULT_NAMESPACE = 'default';

/**
 * The namespace of a validated request: of its path, its query or its body, whichever the route's schema has. Rules and
 * handlers both go by this.
 */
export function namespaceOf(request: RequestParts): string {
  return givenNamespaceOf(request) ?? DEFAULT_NAMESPACE;
}

type RequestParts = Pick<FastifyRequest, 'params' | 'query' | 'body'>;

/** Undefined for a request that names none. */
export function givenNamespaceOf({ params, query, body }: RequestParts): string | undefined {
  for (const part of [params, query, body]) {
    const { namespace } = (part ?? {}) as { namespace?: unknown };
    if (typeof namespace === 'string') return namespace;
  }
  return undefined;
}
