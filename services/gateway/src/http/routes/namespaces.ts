import { create } from '@bufbuild/protobuf';
import { alreadyExists, notFound } from '@longshore/errors';
import { objectAdaptor, parseFilters } from '@longshore/filters';
import {
  type Namespace,
  NamespaceSchema,
} from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import type { FastifyInstance } from 'fastify';
import type { Backends } from '../backends.ts';
import { ifMatch, sendTagged } from '../entity-tag.ts';
import { labelUpdate, requireOwn } from '../labels.ts';
import { pageOf, pageQuery } from '../page.ts';
import { callOf, type RequestCall } from '../request-call.ts';
import { creating, inNamespace, ofFleet, versioned } from '../route-rule.ts';
import { typed } from '../schema-types.ts';
import {
  answers,
  answersCreated,
  answersNothing,
  fields,
  filterQuery,
  labelChanges,
  namespaceParams,
  namespaceSchema,
  nodeQuery,
  pageSchema,
  text,
  texts,
} from '../schemas.ts';

const ofNode = fields({ node: nodeQuery });

const listSchema = {
  summary: 'Lists the namespaces of a node or of the fleet',
  operationId: 'listNamespaces',
  querystring: fields({ node: nodeQuery, filter: filterQuery, ...pageQuery }),
  response: answers('The namespaces, in byte order of their names.', pageSchema(namespaceSchema)),
} as const;

const getSchema = {
  summary: 'Tells of one namespace',
  operationId: 'getNamespace',
  params: namespaceParams,
  querystring: ofNode,
  response: answers('The namespace.', namespaceSchema),
} as const;

const createSchema = {
  summary: 'Creates a namespace',
  operationId: 'createNamespace',
  querystring: ofNode,
  body: fields({ name: { ...text, minLength: 1 }, labels: texts }, ['name']),
  response: answersCreated('The namespace.', namespaceSchema),
} as const;

const updateSchema = {
  summary: 'Changes labels of a namespace',
  operationId: 'updateNamespace',
  params: namespaceParams,
  querystring: ofNode,
  body: fields({ labels: labelChanges }, ['labels']),
  response: answers('The namespace, as it is now.', namespaceSchema),
} as const;

const deleteSchema = {
  summary: 'Deletes a namespace, which must hold no images, content, containers and snapshots',
  operationId: 'deleteNamespace',
  params: namespaceParams,
  querystring: ofNode,
  response: answersNothing,
} as const;

export function namespaceRoutes(app: FastifyInstance, backends: Backends): void {
  const routes = typed(app);

  /** `Get` of containerd answers for names that nobody has. */
  async function find(node: string, name: string, call: RequestCall): Promise<Namespace> {
    const { namespaces } = await (await backends.in(node)).namespaces.list({}, call);
    const found = namespaces.find((each) => each.name === name);
    if (!found) throw notFound(`namespace ${JSON.stringify(name)}`);
    return found;
  }

  routes.get('/namespaces', { schema: listSchema, config: ofFleet('read') }, async (request, reply) => {
    const { node, filter = [] } = request.query;
    const filters = parseFilters(filter);
    const { namespaces } = await (await backends.in(node)).namespaces.list(
      {},
      callOf(request, reply, { node }),
    );
    const matching = namespaces.filter(({ name, labels }) =>
      filters.matches(objectAdaptor({ name }, labels)),
    );
    const page = await pageOf(matching, ({ name }) => [name], request.query);
    return { ...page, items: page.items.map(namespaceToJson) };
  });

  routes.get(
    '/namespaces/:namespace',
    { schema: getSchema, config: inNamespace('read') },
    async (request, reply) => {
      const { node } = request.query;
      const found = await find(node, request.params.namespace, callOf(request, reply, { node }));
      return sendTagged(request, reply, found, namespaceToJson(found));
    },
  );

  routes.post(
    '/namespaces',
    { schema: createSchema, config: creating(ofFleet('write')) },
    async (request, reply) => {
      const { node } = request.query;
      const { name, labels = {} } = request.body;
      const clients = await backends.in(node);
      const wanted = { namespace: { name, labels: requireOwn(labels) } };
      const { namespace } = await clients.namespaces.create(wanted, callOf(request, reply, { node }));
      if (!namespace) throw alreadyExists(`namespace ${JSON.stringify(name)}`);
      reply.code(201).header('location', `/v1/namespaces/${encodeURIComponent(name)}`);
      return sendTagged(request, reply, namespace, namespaceToJson(namespace));
    },
  );

  routes.patch(
    '/namespaces/:namespace',
    { schema: updateSchema, config: versioned(ofFleet('write')) },
    async (request, reply) => {
      const { node } = request.query;
      const { namespace: name } = request.params;
      const call = callOf(request, reply, { node });
      await find(node, name, call);
      const { labels, paths } = labelUpdate(request.body.labels);
      const wanted = { namespace: create(NamespaceSchema, { name, labels }), updateMask: { paths } };
      if (paths.length > 0) {
        await (await backends.in(node)).namespaces.update(wanted, ifMatch(request, call));
      }
      const updated = await find(node, name, call);
      return sendTagged(request, reply, updated, namespaceToJson(updated));
    },
  );

  routes.delete(
    '/namespaces/:namespace',
    { schema: deleteSchema, config: versioned(ofFleet('write')) },
    async (request, reply) => {
      const { node } = request.query;
      const call = ifMatch(request, callOf(request, reply, { node }));
      await (await backends.in(node)).namespaces.delete({ name: request.params.namespace }, call);
      return reply.code(204).send();
    },
  );
}

function namespaceToJson({ name, labels }: Namespace) {
  return { name, labels };
}
