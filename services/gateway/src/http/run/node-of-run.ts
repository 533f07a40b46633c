import { invalidArgument, unavailable } from '@longshore/errors';
import { type Node, NodeState } from '@longshore/proto/longshore/runtime/v1/nodes';
import type { CallOptions } from '@longshore/rpc';
import type { Backends } from '../backends.ts';

/**
 * The node that a container is to run on: the one that is named, or the only one that takes containers. There is no scheduler here:
 * throws InvalidArgument when there are several. Throws NotFound for one that is not there.
 */
export async function nodeOfRun(
  { nodes }: Pick<Backends, 'nodes'>,
  named: string | undefined,
  { headers, signal }: CallOptions,
): Promise<Node> {
  if (named !== undefined) return (await nodes.get({ id: named }, { headers, signal })).node!;
  const ready = await nodes.list({ states: [NodeState.READY] }, { headers, signal });
  const open = ready.nodes.filter(({ cordoned }) => !cordoned);
  const [only] = open;
  if (!only) throw unavailable('nodes: none takes containers');
  if (open.length > 1) {
    throw invalidArgument(`node: is required, since ${open.length} take containers`);
  }
  return only;
}
