import { fromBinary } from '@bufbuild/protobuf';
import { notFound } from '@longshore/errors';
import {
  type Container,
  ContainerSchema,
  type Containers,
} from '@longshore/proto/containerd/services/containers/v1/containers';
import { Header } from '@longshore/proto/headers';
import type { ServiceClient } from '@longshore/rpc';
import type { CopyReads } from '../records/copy-reads.ts';
import { orLastKnown } from '../records/or-last-known.ts';
import type { ContainerLookup } from './task-context.ts';

/** Reads this node's copy; asks the control plane for what is not in it, and goes by what was last known when it is away. */
export function containerLookup(
  copy: CopyReads,
  containers: Pick<ServiceClient<typeof Containers>, 'get'>,
  nodeId: string,
): ContainerLookup {
  return {
    async get(id, { namespace, signal, deadline }) {
      const ask = async () => {
        const headers = { [Header.Namespace]: namespace, [Header.Node]: nodeId };
        const { container } = await containers.get({ id }, { signal, deadline, headers });
        if (!container) throw missing(id, namespace);
        return container;
      };
      const lastKnown = () => {
        if (!copy.lastKnown.isComplete('runtime')) return undefined;
        const record = copy.lastKnown.get('container', namespace, id);
        if (!record) throw missing(id, namespace);
        return decoded(record);
      };
      const copied = copy.isComplete('runtime') ? decoded(copy.get('container', namespace, id)) : undefined;
      return copied ?? (await orLastKnown(ask, lastKnown));
    },
  };
}

/** Undefined for a record whose value only the control plane has. */
function decoded(record: ReturnType<CopyReads['get']>): Container | undefined {
  return record && record !== 'stale' ? fromBinary(ContainerSchema, record.value) : undefined;
}

function missing(id: string, namespace: string): Error {
  return notFound(`container ${JSON.stringify(id)} in namespace ${JSON.stringify(namespace)}`);
}
