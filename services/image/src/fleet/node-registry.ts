import { type Node, type NodeService, NodeState } from '@longshore/proto/longshore/runtime/v1/nodes';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import type { FleetNode, NodeList } from './node-choice.ts';

const STATES: Readonly<Record<number, FleetNode['state']>> = {
  [NodeState.JOINING]: 'joining',
  [NodeState.READY]: 'ready',
  [NodeState.UNREACHABLE]: 'unreachable',
  [NodeState.DRAINING]: 'draining',
  [NodeState.GONE]: 'gone',
};
const ALL = [NodeState.JOINING, NodeState.READY, NodeState.UNREACHABLE, NodeState.DRAINING, NodeState.GONE];

/** The runtime service's registry of nodes. */
export class NodeRegistry implements NodeList {
  readonly #client: ServiceClient<typeof NodeService>;

  constructor(client: ServiceClient<typeof NodeService>) {
    this.#client = client;
  }

  async matching(selector: string, signal: AbortSignal): Promise<FleetNode[]> {
    return this.#list(selector, [NodeState.READY], { signal });
  }

  async named(ids: readonly string[], signal: AbortSignal): Promise<FleetNode[]> {
    const all = await this.#list('', ALL, { signal });
    return all.filter(({ id }) => ids.includes(id));
  }

  async #list(selector: string, states: NodeState[], options: CallOptions): Promise<FleetNode[]> {
    const { nodes } = await this.#client.list({ selector, states }, options);
    return nodes.map(nodeFromProto);
  }
}

function nodeFromProto({ id, address, architecture, state }: Node): FleetNode {
  return { id, address, architecture, state: STATES[state] ?? 'unreachable' };
}
