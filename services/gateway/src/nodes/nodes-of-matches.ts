import { messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { ContainerService } from '@longshore/proto/longshore/runtime/v1/containers';
import type { CallOptions, ServiceClient } from '@longshore/rpc';

/** Asking all nodes takes about as long. */
const TIMEOUT_MS = 1_000;

/**
 * Ids of at least the nodes that have a container which matches the filters, in the namespace of the call; undefined
 * when any may have one.
 */
export type NodesOfMatches = (
  filters: string[],
  options: CallOptions,
) => Promise<ReadonlySet<string> | undefined>;

/** By the records of the runtime service. While it cannot tell, any node may have a match; it never throws. */
export function nodesOfMatches(
  containers: Pick<ServiceClient<typeof ContainerService>, 'find'>,
  log: Logger,
): NodesOfMatches {
  return async (filters, options) => {
    try {
      const deadline = new Date(Date.now() + TIMEOUT_MS);
      const { nodes, anyNode } = await containers.find({ filters }, { ...options, deadline });
      return anyNode ? undefined : new Set(nodes);
    } catch (error) {
      log.info({ error: messageOf(error) }, 'runtime cannot tell who has a match; asking all nodes');
      return undefined;
    }
  };
}
