import { type Handlers, parseAddress } from '@longshore/kit';
import { parseIdentifier } from '@longshore/oci';
import type { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import type { NodeRepository } from '../storage/postgres/node-repository.ts';
import { nodeFromProto, nodeToProto } from './convert.ts';

/** `longshore.runtime.v1.NodeService`. */
export function nodesRpc(nodes: NodeRepository): Handlers<typeof NodeService> {
  return {
    async register({ node }) {
      const report = nodeFromProto(node);
      parseIdentifier(report.id, 'node ID');
      parseAddress(report.address);
      return { node: nodeToProto(await nodes.register(report)) };
    },

    async heartbeat({ id }) {
      await nodes.touch(id);
      return {};
    },

    async get({ id }) {
      return { node: nodeToProto(await nodes.get(id)) };
    },

    async list() {
      return { nodes: (await nodes.list()).map(nodeToProto) };
    },
  };
}
