import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { notFound } from '@longshore/errors';
import type { Node } from '@longshore/proto/longshore/runtime/v1/nodes';
import {
  NODE_STATE_NAMES,
  type NodeStateName,
  nodeStateFromName,
  nodeToJson,
} from '@longshore/proto/node-json';
import type { FastifyInstance } from 'fastify';
import type { Backends } from '../backends.ts';
import { type PageQuery, pageOf, pageQuery } from '../page.ts';
import { callOf } from '../request-call.ts';
import { ofFleet } from '../route-rule.ts';
import { answers, nodeParams, nodeSchema, pageSchema, texts } from '../schemas.ts';

interface OfNode {
  Params: { id: string };
}

const answersNode = answers('The node, as it is now.', nodeSchema);

const listSchema = {
  summary: 'Lists the nodes of the fleet',
  operationId: 'listNodes',
  querystring: {
    type: 'object',
    properties: {
      selector: { type: 'string', description: 'Labels that all match, e.g. `zone=a,gpu,!spot`.' },
      state: { enum: NODE_STATE_NAMES, description: 'Default: all but `gone`.' },
      ...pageQuery,
    },
  },
  response: answers('The nodes, in byte order of their ids.', pageSchema(nodeSchema)),
};

const getSchema = {
  summary: 'Tells of one node',
  operationId: 'getNode',
  params: nodeParams,
  response: answersNode,
};

const labelsSchema = {
  summary: 'Replaces the labels that operators gave a node; what its agent reports stays',
  operationId: 'setNodeLabels',
  params: nodeParams,
  body: { type: 'object', required: ['labels'], additionalProperties: false, properties: { labels: texts } },
  response: answersNode,
};

const removeSchema = {
  summary: 'Removes a node: its certificates are revoked and its records go',
  operationId: 'removeNode',
  params: nodeParams,
  querystring: {
    type: 'object',
    properties: {
      force: { type: 'boolean', default: false, description: 'Also a node that is ready and not drained.' },
    },
  },
  response: answersNode,
};

const drainSchema = {
  summary: 'Keeps new work off a node and stops its tasks: SIGTERM, and after the grace time SIGKILL',
  operationId: 'drainNode',
  params: nodeParams,
  body: {
    type: ['object', 'null'],
    additionalProperties: false,
    properties: { grace_seconds: { type: 'number', minimum: 0, maximum: 86_400, default: 30 } },
  },
  response: answersNode,
};

const cordonSchema = {
  summary: 'Keeps new containers and tasks off a node',
  operationId: 'cordonNode',
  params: nodeParams,
  response: answersNode,
};

const uncordonSchema = {
  summary: 'Lets new containers and tasks onto a node again, which also ends a drain',
  operationId: 'uncordonNode',
  params: nodeParams,
  response: answersNode,
};

export function nodeRoutes(app: FastifyInstance, { nodes, nodeAdmin }: Backends): void {
  app.get<{ Querystring: { selector?: string; state?: NodeStateName } & PageQuery }>(
    '/nodes',
    { schema: listSchema, config: ofFleet('read') },
    async (request, reply) => {
      const { selector = '', state } = request.query;
      const states = state === undefined ? [] : [nodeStateFromName(state)];
      const found = await nodes.list({ selector, states }, callOf(request, reply, {}));
      const page = await pageOf(found.nodes, ({ id }) => [id], request.query);
      return { ...page, items: page.items.map(nodeToJson) };
    },
  );

  app.get<OfNode>('/nodes/:id', { schema: getSchema, config: ofFleet('read') }, async (request, reply) =>
    answered(await nodes.get(request.params, callOf(request, reply, {})), request.params.id),
  );

  app.put<OfNode & { Body: { labels: Record<string, string> } }>(
    '/nodes/:id/labels',
    { schema: labelsSchema, config: ofFleet('write') },
    async (request, reply) => {
      const { id } = request.params;
      const { labels } = request.body;
      return answered(await nodeAdmin.setLabels({ id, labels }, callOf(request, reply, {})), id);
    },
  );

  app.delete<OfNode & { Querystring: { force: boolean } }>(
    '/nodes/:id',
    { schema: removeSchema, config: ofFleet('admin') },
    async (request, reply) => {
      const { id } = request.params;
      const { force } = request.query;
      return answered(await nodeAdmin.remove({ id, force }, callOf(request, reply, {})), id);
    },
  );

  app.post<OfNode & { Body: { grace_seconds?: number } | null }>(
    '/nodes/:id/drain',
    { schema: drainSchema, config: ofFleet('write') },
    async (request, reply) => {
      const { id } = request.params;
      const seconds = request.body?.grace_seconds;
      const grace = seconds === undefined ? undefined : durationFromMs(Math.round(seconds * 1000));
      return answered(await nodeAdmin.drain({ id, ...(grace && { grace }) }, callOf(request, reply, {})), id);
    },
  );

  for (const [action, schema] of [
    ['cordon', cordonSchema],
    ['uncordon', uncordonSchema],
  ] as const) {
    app.post<OfNode>(`/nodes/:id/${action}`, { schema, config: ofFleet('write') }, async (request, reply) => {
      const { id } = request.params;
      const change = { id, cordoned: action === 'cordon' };
      return answered(await nodeAdmin.setCordon(change, callOf(request, reply, {})), id);
    });
  }
}

function answered({ node }: { node?: Node | undefined }, id: string) {
  if (node === undefined) throw notFound(`node ${JSON.stringify(id)}`);
  return nodeToJson(node);
}
