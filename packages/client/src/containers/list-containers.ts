import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import type { CallOptions } from '@longshore/rpc';
import type { Connection } from '../connection/connection.ts';
import { type ContainerInfo, containerInfoFromProto } from './container-info.ts';

export interface ListOptions extends CallOptions {
  /** In containerd's filter language, e.g. `labels.app==web`; of several, any may match. */
  filter?: string | readonly string[] | undefined;
}

/** The records of one namespace; at a fleet's edge those of all nodes, when none is meant. */
export async function* listContainers(
  connection: Connection,
  { filter = [], ...options }: ListOptions,
): AsyncGenerator<ContainerInfo> {
  const filters = typeof filter === 'string' ? [filter] : [...filter];
  for await (const { container } of connection.service(Containers).listStream({ filters }, options)) {
    if (container) yield containerInfoFromProto(container);
  }
}
