import { internal, notFound } from '@longshore/errors';
import type { Lease } from '@longshore/proto/containerd/services/leases/v1/leases';
import type { FastifyInstance } from 'fastify';
import type { Backends } from '../backends.ts';
import { requireOwn } from '../labels.ts';
import { forPage, pageOf, pageQuery } from '../page.ts';
import { callOf } from '../request-call.ts';
import { creating, inNamespace } from '../route-rule.ts';
import { typed } from '../schema-types.ts';
import {
  answers,
  answersCreated,
  answersNothing,
  fields,
  filterQuery,
  idParams,
  namespaceQuery,
  nodeQuery,
  object,
  pageSchema,
  text,
  texts,
  time,
} from '../schemas.ts';
import { timeToJson } from '../time.ts';

const scope = { namespace: namespaceQuery, node: nodeQuery } as const;

const leaseSchema = object({ id: text, labels: texts, created_at: time });

const resource = {
  type: {
    ...text,
    minLength: 1,
    description: '`content`, `images`, `ingests` or `snapshots/<snapshotter>`.',
  },
  id: { ...text, minLength: 1, description: 'e.g. a digest, or the key of a snapshot.' },
} as const;

const listSchema = {
  summary: 'Lists the leases, which keep what they hold from being collected',
  operationId: 'listLeases',
  querystring: fields({ ...scope, filter: filterQuery, ...pageQuery }),
  response: answers('The leases, in byte order of their ids.', pageSchema(leaseSchema)),
} as const;

const getSchema = {
  summary: 'Tells of one lease',
  operationId: 'getLease',
  params: idParams,
  querystring: fields(scope),
  response: answers('The lease.', leaseSchema),
} as const;

const createSchema = {
  summary: 'Creates a lease',
  operationId: 'createLease',
  querystring: fields(scope),
  body: {
    ...fields({
      id: { ...text, minLength: 1, description: 'Default: one is made up.' },
      labels: { ...texts, description: '`containerd.io/gc.expire` with a time ends it by itself.' },
    }),
    type: ['object', 'null'],
  },
  response: answersCreated('The lease.', leaseSchema),
} as const;

const deleteSchema = {
  summary: 'Deletes a lease; what nothing else refers to is collected',
  operationId: 'deleteLease',
  params: idParams,
  querystring: fields({
    ...scope,
    sync: { type: 'boolean', default: false, description: 'Answers when it was collected.' },
  }),
  response: answersNothing,
} as const;

const listResourcesSchema = {
  summary: 'Lists what a lease holds',
  operationId: 'listLeaseResources',
  params: idParams,
  querystring: fields({ ...scope, ...pageQuery }),
  response: answers('What it holds.', pageSchema(object({ type: text, id: text }))),
} as const;

const addResourceSchema = {
  summary: 'Has a lease hold something; repeating it is fine',
  operationId: 'addLeaseResource',
  params: idParams,
  querystring: fields(scope),
  body: fields(resource, ['type', 'id']),
  response: answersNothing,
} as const;

const deleteResourceSchema = {
  summary: 'Has a lease let something go',
  operationId: 'deleteLeaseResource',
  params: idParams,
  querystring: fields({ ...scope, ...resource }, ['type', 'id']),
  response: answersNothing,
} as const;

export function leaseRoutes(app: FastifyInstance, backends: Backends): void {
  const routes = typed(app);
  const clientOf = async (node: string) => (await backends.in(node)).leases;

  routes.get('/leases', { schema: listSchema, config: inNamespace('read') }, async (request, reply) => {
    const { node, filter = [] } = request.query;
    const client = await clientOf(node);
    const call = forPage(callOf(request, reply, { node }), request.query);
    const { leases } = await client.list({ filters: filter }, call);
    const page = await pageOf(leases, ({ id }) => [id], request.query);
    return { ...page, items: page.items.map(leaseToJson) };
  });

  routes.get('/leases/:id', { schema: getSchema, config: inNamespace('read') }, async (request, reply) => {
    const { node } = request.query;
    const { id } = request.params;
    const client = await clientOf(node);
    const filters = [`id==${JSON.stringify(id)}`];
    const { leases } = await client.list({ filters }, callOf(request, reply, { node }));
    const [lease] = leases;
    if (!lease) throw notFound(`lease ${JSON.stringify(id)}`);
    return leaseToJson(lease);
  });

  routes.post(
    '/leases',
    { schema: createSchema, config: creating(inNamespace('write')) },
    async (request, reply) => {
      const { node } = request.query;
      const { id = '', labels = {} } = request.body ?? {};
      const client = await clientOf(node);
      const wanted = { id, labels: requireOwn(labels) };
      const { lease } = await client.create(wanted, callOf(request, reply, { node }));
      if (!lease) throw internal('lease: none was answered');
      reply.code(201).header('location', `/v1/leases/${encodeURIComponent(lease.id)}`);
      return leaseToJson(lease);
    },
  );

  routes.delete(
    '/leases/:id',
    { schema: deleteSchema, config: inNamespace('write') },
    async (request, reply) => {
      const { node, sync } = request.query;
      const client = await clientOf(node);
      await client.delete({ id: request.params.id, sync }, callOf(request, reply, { node }));
      return reply.code(204).send();
    },
  );

  routes.get(
    '/leases/:id/resources',
    { schema: listResourcesSchema, config: inNamespace('read') },
    async (request, reply) => {
      const { node } = request.query;
      const client = await clientOf(node);
      const { resources } = await client.listResources(request.params, callOf(request, reply, { node }));
      const page = await pageOf(resources, ({ type, id }) => [type, id], request.query, 2);
      return { ...page, items: page.items.map(({ type, id }) => ({ type, id })) };
    },
  );

  routes.post(
    '/leases/:id/resources',
    { schema: addResourceSchema, config: inNamespace('write') },
    async (request, reply) => {
      const { node } = request.query;
      const client = await clientOf(node);
      const wanted = { id: request.params.id, resource: request.body };
      await client.addResource(wanted, callOf(request, reply, { node }));
      return reply.code(204).send();
    },
  );

  routes.delete(
    '/leases/:id/resources',
    { schema: deleteResourceSchema, config: inNamespace('write') },
    async (request, reply) => {
      const { node, type, id } = request.query;
      const client = await clientOf(node);
      const wanted = { id: request.params.id, resource: { type, id } };
      await client.deleteResource(wanted, callOf(request, reply, { node }));
      return reply.code(204).send();
    },
  );
}

function leaseToJson({ id, labels, createdAt }: Lease) {
  return { id, labels, created_at: timeToJson(createdAt) };
}
