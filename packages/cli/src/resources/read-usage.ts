import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { ReservedLabel } from '@longshore/proto/headers';
import type { Calls } from '../calls.ts';
import type { FoundContainer } from './find-container.ts';
import { isOfNode } from './scope.ts';
import { type Usage, usageOf } from './usage.ts';

export interface NodeUsage extends Usage {
  /** Empty on a node's own socket. */
  node: string;
}

/** What those containers have used that run, or all that do, by node and id. */
export async function readUsage(
  client: Calls,
  wanted: readonly FoundContainer[],
  signal: AbortSignal,
): Promise<Map<string, NodeUsage>> {
  const usages = wanted.length > 0 ? await ofThese(wanted, signal) : await ofAll(client, signal);
  const keyed = usages.map((usage) => [`${usage.id}/${usage.node}`, usage] as const);
  return new Map(keyed.sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function ofThese(wanted: readonly FoundContainer[], signal: AbortSignal): Promise<NodeUsage[]> {
  const read = wanted.map(({ client, record }) => usagesOf(client, record.id, signal));
  return (await Promise.all(read)).flat();
}

/** Metrics do not say on which node they were read: records do, and where an id is on several nodes, each of these is asked. */
async function ofAll(client: Calls, signal: AbortSignal): Promise<NodeUsage[]> {
  const usages = await usagesOf(client, undefined, signal);
  if (isOfNode(client)) return usages;
  const nodesById = await nodesOfContainers(client, signal);
  const nodesOf = ({ id }: Usage) => nodesById.get(id) ?? [];
  const alone = usages.filter((usage) => nodesOf(usage).length <= 1);
  const shared = new Set(usages.filter((usage) => nodesOf(usage).length > 1).map(({ id }) => id));
  const asked = [...shared].flatMap((id) =>
    nodesById.get(id)!.map((node) => usagesOf(client.in({ node }), id, signal)),
  );
  return [
    ...alone.map((usage) => ({ ...usage, node: nodesOf(usage)[0] ?? '' })),
    ...(await Promise.all(asked)).flat(),
  ];
}

async function usagesOf(client: Calls, id: string | undefined, signal: AbortSignal): Promise<NodeUsage[]> {
  const filters = id === undefined ? [] : [`id==${JSON.stringify(id)}`];
  const { metrics } = await client.service(Tasks).metrics({ filters }, { signal });
  const usages = metrics.map(usageOf).filter((usage) => usage !== undefined);
  return usages.map((usage) => ({ ...usage, node: client.node ?? '' }));
}

async function nodesOfContainers(client: Calls, signal: AbortSignal): Promise<Map<string, string[]>> {
  const nodes = new Map<string, string[]>();
  for await (const { container } of client.service(Containers).listStream({}, { signal })) {
    const node = container?.labels[ReservedLabel.Node];
    if (container && node !== undefined) nodes.set(container.id, [...(nodes.get(container.id) ?? []), node]);
  }
  return nodes;
}
