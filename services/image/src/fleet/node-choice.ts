import { type LongshoreError, notFound, unavailable } from '@longshore/errors';
import { hostPlatform, type Platform, platformOfNode } from '@longshore/oci';

/** A node as the registry of nodes has it. */
export interface FleetNode {
  id: string;
  /** Where its agent is reached. */
  address: string;
  /** Node.js's name or the image specification's. */
  architecture: string;
  state: 'joining' | 'ready' | 'unreachable' | 'draining' | 'gone';
}

/** The registry of nodes. */
export interface NodeList {
  /** Nodes that are ready and match. Throws InvalidArgument for a selector that cannot be read. */
  matching(selector: string, signal: AbortSignal): Promise<FleetNode[]>;
  /** Those of the nodes that exist, whatever their state. */
  named(ids: readonly string[], signal: AbortSignal): Promise<FleetNode[]>;
}

/** A node that an image is to go to, and why that is in vain, if it is. */
export interface ChosenNode {
  id: string;
  node: FleetNode | undefined;
  obstacle: LongshoreError | undefined;
}

/** All that are named, and all that are ready and match; each once. None without names and a selector. */
export async function chooseNodes(
  list: NodeList,
  ids: readonly string[],
  selector: string,
  signal: AbortSignal,
): Promise<ChosenNode[]> {
  const chosen = new Map<string, ChosenNode>();
  const named = ids.length > 0 ? await list.named(ids, signal) : [];
  for (const id of ids) {
    const node = named.find((candidate) => candidate.id === id);
    chosen.set(id, { id, node, obstacle: obstacleOf(id, node) });
  }
  const matching = selector === '' ? [] : await list.matching(selector, signal);
  for (const node of matching) {
    if (!chosen.has(node.id)) chosen.set(node.id, { id: node.id, node, obstacle: obstacleOf(node.id, node) });
  }
  return [...chosen.values()];
}

export function platformOf({ architecture }: FleetNode): Platform {
  if (architecture === '') return hostPlatform();
  return platformOfNode(architecture);
}

function obstacleOf(id: string, node: FleetNode | undefined): LongshoreError | undefined {
  const subject = `node ${JSON.stringify(id)}`;
  if (!node) return notFound(subject);
  if (node.state === 'gone') return notFound(`${subject} was removed`);
  if (node.state !== 'ready') return unavailable(`${subject} is ${node.state}`);
  return node.address === '' ? unavailable(`${subject} has no address`) : undefined;
}
