import { Header } from '@longshore/proto/headers';
import type { CatalogueService } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import type { CallOptions, ServiceClient } from '@longshore/rpc';

export type CatalogueClient = ServiceClient<typeof CatalogueService>;

/** On whose behalf the catalogue is called. `options` carry the namespace, this node and the caller's lease. */
export interface CatalogueCall {
  namespace: string;
  options: CallOptions;
}

/** The agent's own work answers to nobody, so it has a limit of its own. */
const OWN_CALL_TIMEOUT_MS = 10_000;

/** Options for what the agent does by itself, for all namespaces of its node. */
export function ownCall(nodeId: string): CallOptions {
  return { headers: { [Header.Node]: nodeId }, deadline: new Date(Date.now() + OWN_CALL_TIMEOUT_MS) };
}

/** Every generation that the catalogue knows of this node: of snapshots, and of removed ones that may be on disk yet. */
export async function knownGenerations(
  catalogue: CatalogueClient,
  nodeId: string,
  snapshotter: string,
): Promise<Set<string>> {
  const known = new Set<string>();
  for await (const { generations } of catalogue.listGenerations({ snapshotter }, ownCall(nodeId))) {
    for (const generation of generations) known.add(generation);
  }
  return known;
}
