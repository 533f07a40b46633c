import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import type { FastifySwaggerUiOptions } from '@fastify/swagger-ui';
import { type FastifyPluginCallback, fastify, type RouteOptions } from 'fastify';
import { VERSION } from '../version.ts';

/** Where the page is. */
export const PAGE_PREFIX = '/docs';

/** The description of an API. */
export interface Description {
  /** OpenAPI 3.1. */
  readonly document: object;
  /** Answers requests below {@link PAGE_PREFIX} with the page for people, which needs nothing of other hosts. */
  answer(request: IncomingMessage, response: ServerResponse): void;
}

/** Of what `routes` adds below `prefix`. What makes it is loaded only now: a hundred files that few ask for. */
export async function describeRoutes(routes: FastifyPluginCallback, prefix: string): Promise<Description> {
  const [{ default: swagger }, { default: swaggerUi }] = await Promise.all([
    import('@fastify/swagger'),
    import('@fastify/swagger-ui'),
  ]);
  const app = fastify();
  await app.register(swagger, { openapi: DOCUMENT });
  await app.register(swaggerUi, PAGE);
  app.addHook('onRoute', describeHeaders);
  await app.register(routes, { prefix });
  await app.ready();
  return {
    document: app.swagger(),
    answer: (request, response) => app.routing(request, response),
  };
}

/** What routes take beside what their schemas say. */
function describeHeaders(route: RouteOptions): void {
  const { isCreation, isVersioned } = route.config ?? {};
  const properties = {
    ...(isCreation && { 'Idempotency-Key': IDEMPOTENCY_KEY }),
    ...(isVersioned && { 'If-Match': IF_MATCH }),
  };
  if (Object.keys(properties).length > 0)
    route.schema = { ...route.schema, headers: { type: 'object', properties } };
}

const IDEMPOTENCY_KEY = {
  type: 'string',
  pattern: '^[!-~]{1,255}$',
  description:
    'The same again, within a day, makes nothing more, and is answered as the first time: `Idempotency-Replayed: true`.',
};
const IF_MATCH = { type: 'string', description: 'An `ETag`: 412 when the record has changed since.' };

const DOCUMENT: NonNullable<FastifyDynamicSwaggerOptions['openapi']> = {
  openapi: '3.1.0',
  info: {
    title: 'longshore',
    description: 'A container runtime platform for a fleet of hosts.',
    version: VERSION.version,
  },
  components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
  security: [{ token: [] }],
};

const PAGE: FastifySwaggerUiOptions = {
  routePrefix: PAGE_PREFIX,
  uiConfig: { deepLinking: true, validatorUrl: null },
  staticCSP: {
    'default-src': "'self'",
    'img-src': "'self' data:",
    'style-src': "'self' 'unsafe-inline'",
    'object-src': "'none'",
    'base-uri': "'none'",
    'frame-ancestors': "'none'",
  },
};
