import { FLEET } from '@longshore/proto/headers';
import type { FastifyInstance } from 'fastify';
import type { Backends } from '../backends.ts';
import { callOf, type ScopeQuery } from '../request-call.ts';
import { ofFleet } from '../route-rule.ts';
import { answers, listOf, namespaceSchema, nodeQuery } from '../schemas.ts';

const schema = {
  summary: 'Lists the namespaces of a node or of the fleet',
  operationId: 'listNamespaces',
  querystring: { type: 'object', properties: { node: nodeQuery } },
  response: answers('The namespaces.', listOf('namespaces', namespaceSchema)),
};

export function namespaceRoutes(app: FastifyInstance, backends: Backends): void {
  app.get<{ Querystring: ScopeQuery }>(
    '/namespaces',
    { schema, config: ofFleet('read') },
    async (request, reply) => {
      const { node = FLEET } = request.query;
      const clients = await backends.in(node);
      const { namespaces } = await clients.namespaces.list({}, callOf(request, reply, { node }));
      return { namespaces: namespaces.map(({ name, labels }) => ({ name, labels })) };
    },
  );
}
