import type { FastifyInstance } from 'fastify';
import { type Description, describeRoutes, PAGE_PREFIX } from '../document.ts';
import { FOR_ANYONE } from '../route-rule.ts';

/** The OpenAPI document of what `routes` adds below `prefix`, and a page to browse it. Made when it is first asked for. */
export function documentRoutes(
  app: FastifyInstance,
  routes: (app: FastifyInstance) => void,
  prefix: string,
): void {
  let made: Promise<Description> | undefined;
  const description = () => {
    made ??= describeRoutes(async (described) => routes(described), prefix).catch((error) => {
      made = undefined;
      throw error;
    });
    return made;
  };

  app.get('/openapi.json', { config: FOR_ANYONE }, async () => (await description()).document);

  for (const path of [PAGE_PREFIX, `${PAGE_PREFIX}/*`]) {
    app.get(path, { config: FOR_ANYONE }, async (request, reply) => {
      const { answer } = await description();
      reply.hijack();
      answer(request.raw, reply.raw);
    });
  }
}
