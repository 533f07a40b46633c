import { internal, invalidArgument } from '@longshore/errors';
import { type Info, Kind, Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Backends } from '../backends.ts';
import { sendTagged } from '../entity-tag.ts';
import { labelUpdate, ownLabels } from '../labels.ts';
import { forPage, pageOf, pageQuery } from '../page.ts';
import { callOf, openCallOf } from '../request-call.ts';
import { inNamespace } from '../route-rule.ts';
import { typed } from '../schema-types.ts';
import {
  answers,
  answersNothing,
  fields,
  filterQuery,
  labelChanges,
  namespaceQuery,
  object,
  pageSchema,
  text,
  texts,
  time,
  unreachableSchema,
} from '../schemas.ts';
import { timeToJson } from '../time.ts';

const KINDS = {
  [Kind.UNKNOWN]: 'unknown',
  [Kind.VIEW]: 'view',
  [Kind.ACTIVE]: 'active',
  [Kind.COMMITTED]: 'committed',
} as const;

const snapshotter = { ...text, minLength: 1, default: 'overlayfs' } as const;
const ofNode = fields({ namespace: namespaceQuery, node: text, snapshotter }, ['node']);

const params = {
  type: 'object',
  required: ['key'],
  properties: { key: { ...text, description: 'Percent-encoded.' } },
} as const;

const snapshotSchema = object({
  key: text,
  node: text,
  snapshotter: text,
  parent: { ...text, description: 'Empty for none.' },
  kind: { enum: Object.values(KINDS) },
  labels: texts,
  created_at: time,
  updated_at: time,
});

const page = pageSchema(snapshotSchema);

const listSchema = {
  summary: 'Lists the snapshots of a snapshotter, of all nodes or of one',
  operationId: 'listSnapshots',
  querystring: fields({
    namespace: namespaceQuery,
    node: { ...text, description: "A node's id; default: all nodes." },
    snapshotter,
    filter: filterQuery,
    ...pageQuery,
  }),
  response: answers(
    'The snapshots, in byte order of their keys and then of their nodes.',
    object({ ...page.properties, unreachable_nodes: unreachableSchema }),
  ),
} as const;

const getSchema = {
  summary: 'Tells of one snapshot',
  operationId: 'getSnapshot',
  params,
  querystring: ofNode,
  response: answers('The snapshot.', snapshotSchema),
} as const;

const usageSchema = {
  summary: 'Tells what a snapshot takes on its disk, without what is below it',
  operationId: 'getSnapshotUsage',
  params,
  querystring: ofNode,
  response: answers(
    'What it takes.',
    object({ size_bytes: { type: 'integer' }, inodes: { type: 'integer' } }),
  ),
} as const;

const updateSchema = {
  summary: 'Changes labels of a snapshot',
  operationId: 'updateSnapshot',
  params,
  querystring: ofNode,
  body: fields({ labels: labelChanges }, ['labels']),
  response: answers('The snapshot, as it is now.', snapshotSchema),
} as const;

const removeSchema = {
  summary: 'Removes a snapshot that nothing is over',
  operationId: 'removeSnapshot',
  params,
  querystring: ofNode,
  response: answersNothing,
} as const;

export function snapshotRoutes(app: FastifyInstance, backends: Backends): void {
  const routes = typed(app);
  const clientOf = async (node: string) => (await backends.agent(node)).client(Snapshots);

  routes.get('/snapshots', { schema: listSchema, config: inNamespace('read') }, async (request, reply) => {
    const { node, snapshotter, filter = [], ...query } = request.query;
    if (node !== undefined) await backends.requireNode(node);
    const call = forPage(openCallOf(request, reply, {}), query, 2);
    const answer = backends.lists.snapshots(call, snapshotter, filter, node);
    const found = await pageOf(answer, ({ item, node }) => [item.name, node], query, 2);
    const items = found.items.map(({ item, node }) => snapshotToJson(item, node, snapshotter));
    return { ...found, items, unreachable_nodes: answer.unreachable() };
  });

  routes.get(
    '/snapshots/:key',
    { schema: getSchema, config: inNamespace('read') },
    async (request, reply) => {
      const { node, snapshotter } = request.query;
      const client = await clientOf(node);
      const wanted = { snapshotter, key: request.params.key };
      const { info } = await client.stat(wanted, callOf(request, reply, { node }));
      return answer(request, reply, info, node, snapshotter);
    },
  );

  routes.get(
    '/snapshots/:key/usage',
    { schema: usageSchema, config: inNamespace('read') },
    async (request, reply) => {
      const { node, snapshotter } = request.query;
      const client = await clientOf(node);
      const wanted = { snapshotter, key: request.params.key };
      const { size, inodes } = await client.usage(wanted, openCallOf(request, reply, { node }));
      return { size_bytes: Number(size), inodes: Number(inodes) };
    },
  );

  routes.patch(
    '/snapshots/:key',
    { schema: updateSchema, config: inNamespace('write') },
    async (request, reply) => {
      const { node, snapshotter } = request.query;
      const { labels, paths } = labelUpdate(request.body.labels);
      if (paths.length === 0) throw invalidArgument('body: nothing to change');
      const client = await clientOf(node);
      const wanted = { snapshotter, info: { name: request.params.key, labels }, updateMask: { paths } };
      const { info } = await client.update(wanted, callOf(request, reply, { node }));
      return answer(request, reply, info, node, snapshotter);
    },
  );

  routes.delete(
    '/snapshots/:key',
    { schema: removeSchema, config: inNamespace('write') },
    async (request, reply) => {
      const { node, snapshotter } = request.query;
      const client = await clientOf(node);
      await client.remove({ snapshotter, key: request.params.key }, callOf(request, reply, { node }));
      return reply.code(204).send();
    },
  );
}

function answer(
  request: FastifyRequest,
  reply: FastifyReply,
  info: Info | undefined,
  node: string,
  snapshotter: string,
) {
  if (!info) throw internal('snapshot: none was answered');
  return sendTagged(request, reply, info, snapshotToJson(info, node, snapshotter));
}

function snapshotToJson(
  { name, parent, kind, labels, createdAt, updatedAt }: Info,
  node: string,
  by: string,
) {
  return {
    key: name,
    node,
    snapshotter: by,
    parent,
    kind: KINDS[kind],
    labels: ownLabels(labels),
    created_at: timeToJson(createdAt),
    updated_at: timeToJson(updatedAt),
  };
}
