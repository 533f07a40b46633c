import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import { type FastifyPluginCallback, fastify } from 'fastify';
import { VERSION } from '../version.ts';

/** The OpenAPI document of what `routes` adds below `prefix`. What makes it is loaded only now: a hundred files that few ask for. */
export async function describeRoutes(routes: FastifyPluginCallback, prefix: string): Promise<object> {
  const { default: swagger } = await import('@fastify/swagger');
  const app = fastify();
  await app.register(swagger, { openapi: DOCUMENT });
  await app.register(routes, { prefix });
  await app.ready();
  return app.swagger();
}

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
