import { fromBinary } from '@bufbuild/protobuf';
import type { ServiceClient } from '@longshore/client';
import { notFound } from '@longshore/errors';
import {
  ContainerSchema,
  type Containers,
} from '@longshore/proto/containerd/services/containers/v1/containers';
import { Header } from '@longshore/proto/headers';
import type { RecordCopy } from '../records/record-copy.ts';
import type { ContainerLookup } from './task-context.ts';

/** Reads this node's copy; asks the control plane for what is not in it. */
export function containerLookup(
  copy: RecordCopy,
  containers: ServiceClient<typeof Containers>,
  nodeId: string,
): ContainerLookup {
  return {
    async get(id, { namespace, signal, deadline }) {
      const copied = copy.isComplete('runtime') ? copy.get('container', namespace, id) : undefined;
      if (copied && copied !== 'stale') return fromBinary(ContainerSchema, copied.value);
      const headers = { [Header.Namespace]: namespace, [Header.Node]: nodeId };
      const { container } = await containers.get({ id }, { signal, deadline, headers });
      if (!container)
        throw notFound(`container ${JSON.stringify(id)} in namespace ${JSON.stringify(namespace)}`);
      return container;
    },
  };
}
