import type { ServiceClient } from '@longshore/client';
import { notFound } from '@longshore/errors';
import type { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Header } from '@longshore/proto/headers';
import type { ContainerLookup } from './task-context.ts';

/** Asks the control plane, in this node's scope. */
export function containerLookup(
  containers: ServiceClient<typeof Containers>,
  nodeId: string,
): ContainerLookup {
  return {
    async get(id, { namespace, signal, deadline }) {
      const headers = { [Header.Namespace]: namespace, [Header.Node]: nodeId };
      const { container } = await containers.get({ id }, { signal, deadline, headers });
      if (!container)
        throw notFound(`container ${JSON.stringify(id)} in namespace ${JSON.stringify(namespace)}`);
      return container;
    },
  };
}
