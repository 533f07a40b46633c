import { internal, invalidArgument } from '@longshore/errors';
import type { Image } from '@longshore/proto/containerd/services/images/v1/images';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Backends } from '../backends.ts';
import { ifMatch, sendTagged } from '../entity-tag.ts';
import { descriptorFromJson, imageToJson } from '../image-json.ts';
import { labelUpdate, requireOwn } from '../labels.ts';
import { forPage, pageOf, pageQuery } from '../page.ts';
import { callOf } from '../request-call.ts';
import { creating, inNamespace, versioned } from '../route-rule.ts';
import { typed } from '../schema-types.ts';
import {
  answers,
  answersCreated,
  answersNothing,
  fields,
  filterQuery,
  imageSchema,
  labelChanges,
  namespaceQuery,
  nodeQuery,
  pageSchema,
  text,
  texts,
} from '../schemas.ts';

const scope = { namespace: namespaceQuery, node: nodeQuery } as const;

const params = {
  type: 'object',
  required: ['name'],
  properties: {
    name: { ...text, description: 'Percent-encoded: `docker.io%2Flibrary%2Fredis:7`.' },
  },
} as const;

const target = fields(
  {
    media_type: { ...text, minLength: 1 },
    digest: { ...text, minLength: 1 },
    size: { type: 'integer', minimum: 1, description: 'Bytes of the manifest or index.' },
    annotations: texts,
  },
  ['media_type', 'digest', 'size'],
);

const listSchema = {
  summary: 'Lists the images of a namespace, of a node or of the fleet',
  operationId: 'listImages',
  querystring: fields({ ...scope, filter: filterQuery, ...pageQuery }),
  response: answers('The images, in byte order of their names.', pageSchema(imageSchema)),
} as const;

const getSchema = {
  summary: 'Tells of one image',
  operationId: 'getImage',
  params,
  querystring: fields(scope),
  response: answers('The image.', imageSchema),
} as const;

const createSchema = {
  summary: 'Gives an image a name: one that has a name already, or content that is there',
  operationId: 'createImage',
  querystring: fields(scope),
  body: {
    ...fields(
      {
        name: { ...text, minLength: 1 },
        source: { ...text, minLength: 1, description: 'Name of an image that the new one is the same as.' },
        target: { ...target, description: 'Instead of `source`.' },
        labels: { ...texts, description: "Default: the source's." },
      },
      ['name'],
    ),
    description: 'With either `source` or `target`.',
  },
  response: answersCreated('The image.', imageSchema),
} as const;

const updateSchema = {
  summary: 'Changes labels of an image, or what it stands for',
  operationId: 'updateImage',
  params,
  querystring: fields(scope),
  body: fields({ labels: labelChanges, target }),
  response: answers('The image, as it is now.', imageSchema),
} as const;

const deleteSchema = {
  summary: 'Deletes an image; what nothing else refers to is collected',
  operationId: 'deleteImage',
  params,
  querystring: fields({
    ...scope,
    sync: { type: 'boolean', default: false, description: 'Answers when it was collected.' },
  }),
  response: answersNothing,
} as const;

export function imageRoutes(app: FastifyInstance, backends: Backends): void {
  const routes = typed(app);
  const clientOf = async (node: string) => (await backends.in(node)).images;

  routes.get('/images', { schema: listSchema, config: inNamespace('read') }, async (request, reply) => {
    const { node, filter = [] } = request.query;
    const client = await clientOf(node);
    const call = forPage(callOf(request, reply, { node }), request.query);
    const { images } = await client.list({ filters: filter }, call);
    const page = await pageOf(images, ({ name }) => [name], request.query);
    return { ...page, items: page.items.map(imageToJson) };
  });

  routes.get('/images/:name', { schema: getSchema, config: inNamespace('read') }, async (request, reply) => {
    const { node } = request.query;
    const client = await clientOf(node);
    return answer(request, reply, await client.get(request.params, callOf(request, reply, { node })));
  });

  routes.post(
    '/images',
    { schema: createSchema, config: creating(inNamespace('write')) },
    async (request, reply) => {
      const { node } = request.query;
      const { name, source, target, labels } = request.body;
      const call = callOf(request, reply, { node });
      const client = await clientOf(node);
      if ((source === undefined) === (target === undefined)) {
        throw invalidArgument('body: want either source or target');
      }
      const from = source === undefined ? undefined : (await client.get({ name: source }, call)).image;
      const wanted = {
        name,
        labels: requireOwn(labels) ?? from?.labels ?? {},
        ...(target && { target: descriptorFromJson(target) }),
        ...(from?.target && { target: from.target }),
      };
      const made = await client.create({ image: wanted }, call);
      reply.code(201).header('location', `/v1/images/${encodeURIComponent(name)}`);
      return answer(request, reply, made);
    },
  );

  routes.patch(
    '/images/:name',
    { schema: updateSchema, config: versioned(inNamespace('write')) },
    async (request, reply) => {
      const { node } = request.query;
      const { name } = request.params;
      const { labels: changes = {}, target } = request.body;
      const { labels, paths } = labelUpdate(changes);
      if (target) paths.push('target');
      if (paths.length === 0) throw invalidArgument('body: nothing to change');
      const wanted = {
        image: { name, labels, ...(target && { target: descriptorFromJson(target) }) },
        updateMask: { paths },
      };
      const client = await clientOf(node);
      const call = ifMatch(request, callOf(request, reply, { node }));
      return answer(request, reply, await client.update(wanted, call));
    },
  );

  routes.delete(
    '/images/:name',
    { schema: deleteSchema, config: versioned(inNamespace('write')) },
    async (request, reply) => {
      const { node, sync } = request.query;
      const client = await clientOf(node);
      const call = ifMatch(request, callOf(request, reply, { node }));
      await client.delete({ name: request.params.name, sync }, call);
      return reply.code(204).send();
    },
  );
}

function answer(request: FastifyRequest, reply: FastifyReply, { image }: { image?: Image | undefined }) {
  if (!image) throw internal('image: none was answered');
  return sendTagged(request, reply, image, imageToJson(image));
}
