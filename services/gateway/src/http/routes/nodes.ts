import type { Node } from '@longshore/proto/longshore/runtime/v1/nodes';
import type { FastifyInstance } from 'fastify';
import type { Backends } from '../backends.ts';
import { callOf } from '../request-call.ts';
import { answers, listOf, nodeSchema } from '../schemas.ts';
import { timeToJson } from '../time.ts';

const schema = {
  summary: 'Lists the nodes that have registered',
  operationId: 'listNodes',
  response: answers('The nodes, in byte order of their ids.', listOf('nodes', nodeSchema)),
};

export function nodeRoutes(app: FastifyInstance, backends: Backends): void {
  app.get('/nodes', { schema }, async (request, reply) => {
    const { nodes } = await backends.nodes.list({}, callOf(request, reply, {}));
    return { nodes: nodes.map(nodeToJson) };
  });
}

function nodeToJson(node: Node) {
  return {
    id: node.id,
    address: node.address,
    labels: node.labels,
    hostname: node.hostname,
    kernel: node.kernel,
    architecture: node.architecture,
    cgroup_version: node.cgroupVersion,
    software_version: node.softwareVersion,
    snapshotters: node.snapshotters,
    created_at: timeToJson(node.createdAt),
    last_seen_at: timeToJson(node.lastSeenAt),
  };
}
