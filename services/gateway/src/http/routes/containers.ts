import type { FastifyInstance } from 'fastify';
import { nodeOfContainer } from '../../nodes/container-finder.ts';
import type { Backends } from '../backends.ts';
import { listContainers } from '../container-list.ts';
import { callOf, openCallOf, type ScopeQuery } from '../request-call.ts';
import { inNamespace } from '../route-rule.ts';
import {
  answers,
  containerSchema,
  idParams,
  listOf,
  namespaceQuery,
  object,
  text,
  unreachableSchema,
} from '../schemas.ts';

const nodeQuery = { type: 'string', description: "A node's id; default: all nodes." } as const;

const containers = listOf('containers', containerSchema);

const listSchema = {
  summary: 'Lists the containers of a namespace, of all nodes or of one',
  operationId: 'listContainers',
  querystring: {
    type: 'object',
    properties: {
      namespace: namespaceQuery,
      node: nodeQuery,
      filter: { type: 'array', items: text, description: "containerd's filters, of which one must match." },
    },
  },
  response: answers(
    'The containers, in byte order of their ids.',
    object({ ...containers.properties, unreachable_nodes: unreachableSchema }),
  ),
};

const deletion = object({ id: text, node: text, status: { enum: ['deleted', 'deleting'] } });
const deletionAnswers = answers('It is gone.', deletion);

const deleteSchema = {
  summary: 'Deletes a container',
  operationId: 'deleteContainer',
  params: idParams,
  querystring: {
    type: 'object',
    properties: {
      namespace: namespaceQuery,
      node: { type: 'string', description: 'Default: the one node that has it.' },
    },
  },
  response: {
    ...deletionAnswers,
    202: { description: 'Its node is away: it goes when that agrees.', ...deletion },
  },
};

export function containerRoutes(app: FastifyInstance, backends: Backends): void {
  app.get<{ Querystring: ScopeQuery & { filter?: string[] } }>(
    '/containers',
    { schema: listSchema, config: inNamespace('read') },
    async (request, reply) => {
      const { node, filter: filters = [] } = request.query;
      return listContainers(backends, openCallOf(request, reply, {}), { node, filters });
    },
  );

  app.delete<{ Params: { id: string }; Querystring: ScopeQuery }>(
    '/containers/:id',
    { schema: deleteSchema, config: inNamespace('write') },
    async (request, reply) => {
      const { id } = request.params;
      const call = callOf(request, reply, {});
      const node = request.query.node ?? (await nodeOfContainer(backends.containers, id, call));
      const scope = openCallOf(request, reply, { node });
      const status = await backends.deletion.delete(node, id, scope);
      return reply.code(status === 'deleting' ? 202 : 200).send({ id, node, status });
    },
  );
}
