import { isKind, messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Header } from '@longshore/proto/headers';
import type { ContainerService } from '@longshore/proto/longshore/runtime/v1/containers';
import { type CallOptions, type ServiceClient, wasNeverSent } from '@longshore/rpc';
import type { NodeDirectory } from '../nodes/node-directory.ts';

/** `deleting`: it stays, marked, until its node agrees. */
export type Deletion = 'deleted' | 'deleting';

export interface ContainerDeletionOptions {
  nodes: Pick<NodeDirectory, 'find'>;
  containers: Pick<ServiceClient<typeof ContainerService>, 'markDeleting'>;
  /** A node that has not answered for this long cannot be asked. */
  timeoutMs: number;
  log: Logger;
}

/** Deletes containers of nodes, also of such that cannot be asked. */
export class ContainerDeletion {
  readonly #options: ContainerDeletionOptions;

  constructor(options: ContainerDeletionOptions) {
    this.#options = options;
  }

  /**
   * Has the node delete the container. When the node cannot be reached, the container is marked: it stays, as
   * `deleting`, until the node agrees. Throws what the node, or the mark, is refused with.
   */
  async delete(node: string, id: string, { headers, signal }: CallOptions): Promise<Deletion> {
    const { nodes, containers, timeoutMs, log } = this.#options;
    const connection = await nodes.find(node);
    const scope = { headers: { ...headers, [Header.Node]: node }, signal };
    let problem = 'it sends no heartbeats';
    let wasAsked = false;
    if (!connection.isLost || (await connection.answers())) {
      try {
        const deadline = new Date(Date.now() + timeoutMs);
        await connection.client(Containers).delete({ id }, { ...scope, deadline });
        return 'deleted';
      } catch (error) {
        if (signal?.aborted || !isKind(error, 'Unavailable', 'DeadlineExceeded')) throw error;
        // A node that is there lacks something itself, e.g. its control plane.
        if (await connection.answers()) throw error;
        problem = messageOf(error);
        wasAsked = !wasNeverSent(error);
      }
    }
    try {
      await containers.markDeleting({ id }, scope);
    } catch (error) {
      // The node has deleted it, and its answer was lost.
      if (wasAsked && isKind(error, 'NotFound')) return 'deleted';
      throw error;
    }
    log.info({ node, container: id, problem }, 'container is marked: its node is away');
    return 'deleting';
  }
}
