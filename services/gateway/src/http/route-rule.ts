import type { FastifyRequest } from 'fastify';
import type { Need, Rule } from '../access/rule.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may use the route; one without is refused to everyone. */
    rule?: Rule;
  }
}

/** A route's `config`. */
export interface RouteConfig {
  rule: Rule;
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

export const DEFAULT_NAMESPACE = 'default';

/**
 * The namespace of a validated request: of its path, its query or its body, whichever the route's schema has. Rules and
 * handlers both go by this.
 */
export function namespaceOf({
  params,
  query,
  body,
}: Pick<FastifyRequest, 'params' | 'query' | 'body'>): string {
  for (const part of [params, query, body]) {
    const { namespace } = (part ?? {}) as { namespace?: unknown };
    if (typeof namespace === 'string') return namespace;
  }
  return DEFAULT_NAMESPACE;
}
