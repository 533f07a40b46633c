import type { Image } from '@longshore/proto/containerd/services/images/v1/images';
import { FLEET } from '@longshore/proto/headers';
import type { FastifyInstance } from 'fastify';
import type { Backends } from '../backends.ts';
import { callOf, type ScopeQuery } from '../request-call.ts';
import { inNamespace } from '../route-rule.ts';
import { answers, imageSchema, listOf, namespaceQuery, nodeQuery } from '../schemas.ts';
import { timeToJson } from '../time.ts';

const schema = {
  summary: 'Lists the images of a namespace, of a node or of the fleet',
  operationId: 'listImages',
  querystring: { type: 'object', properties: { namespace: namespaceQuery, node: nodeQuery } },
  response: answers('The images, in byte order of their names.', listOf('images', imageSchema)),
};

export function imageRoutes(app: FastifyInstance, backends: Backends): void {
  app.get<{ Querystring: ScopeQuery }>(
    '/images',
    { schema, config: inNamespace('read') },
    async (request, reply) => {
      const { node = FLEET } = request.query;
      const clients = await backends.in(node);
      const { images } = await clients.images.list({}, callOf(request, reply, request.query));
      return { images: images.map(imageToJson) };
    },
  );
}

function imageToJson({ name, labels, target, createdAt, updatedAt }: Image) {
  return {
    name,
    labels,
    target: {
      media_type: target?.mediaType,
      digest: target?.digest,
      size: Number(target?.size),
      annotations: target?.annotations,
    },
    created_at: timeToJson(createdAt),
    updated_at: timeToJson(updatedAt),
  };
}
