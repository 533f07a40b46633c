import { invalidArgument, notFound } from '@longshore/errors';
import { parseIdentifier } from '@longshore/oci';
import { FLEET } from '@longshore/proto/headers';
import type { ContainerService } from '@longshore/proto/longshore/runtime/v1/containers';
import type { CallOptions, ServiceClient } from '@longshore/rpc';

/**
 * The one node that has a container of this id in the namespace of the call. Throws NotFound when none has,
 * InvalidArgument naming them when several have, and for what is no id.
 */
export async function nodeOfContainer(
  containers: Pick<ServiceClient<typeof ContainerService>, 'find'>,
  id: string,
  options: CallOptions,
): Promise<string> {
  parseIdentifier(id);
  const found = await containers.find({ id }, options);
  const nodes = found.nodes.filter((node) => node !== FLEET);
  const [node] = nodes;
  const subject = `container ${JSON.stringify(id)}`;
  if (node === undefined) throw notFound(subject);
  if (nodes.length === 1) return node;
  throw invalidArgument(
    `${subject}: it is on several nodes, ${nodes.toSorted().join(', ')}; header longshore-node says which`,
  );
}
