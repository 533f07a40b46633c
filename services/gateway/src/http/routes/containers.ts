import type { Container } from '@longshore/proto/containerd/services/containers/v1/containers';
import { FLEET } from '@longshore/proto/headers';
import type { FastifyInstance } from 'fastify';
import type { Backends } from '../backends.ts';
import { callOf, type ScopeQuery } from '../request-call.ts';
import { answers, containerSchema, listOf, namespaceQuery, nodeQuery } from '../schemas.ts';
import { timeToJson } from '../time.ts';

const schema = {
  summary: 'Lists the containers of a namespace of a node',
  operationId: 'listContainers',
  querystring: { type: 'object', properties: { namespace: namespaceQuery, node: nodeQuery } },
  response: answers('The containers, in byte order of their ids.', listOf('containers', containerSchema)),
};

export function containerRoutes(app: FastifyInstance, backends: Backends): void {
  app.get<{ Querystring: ScopeQuery }>('/containers', { schema }, async (request, reply) => {
    const { node = FLEET } = request.query;
    const clients = await backends.in(node);
    const { containers } = await clients.containers.list({}, callOf(request, reply, request.query));
    return { containers: containers.map(containerToJson) };
  });
}

function containerToJson(container: Container) {
  return {
    id: container.id,
    image: container.image,
    labels: container.labels,
    runtime: container.runtime?.name ?? '',
    snapshotter: container.snapshotter,
    snapshot_key: container.snapshotKey,
    sandbox: container.sandbox,
    created_at: timeToJson(container.createdAt),
    updated_at: timeToJson(container.updatedAt),
  };
}
