import type { Container } from '@longshore/proto/containerd/services/containers/v1/containers';
import { type Process, Status } from '@longshore/proto/containerd/v1/types/task';
import { Header, ReservedLabel } from '@longshore/proto/headers';
import { splitFilters } from '../fleet/node-filter.ts';
import type { Backends } from './backends.ts';
import type { RequestCall } from './request-call.ts';
import { timeToJson } from './time.ts';

const STATUSES = {
  [Status.UNKNOWN]: 'unknown',
  [Status.CREATED]: 'created',
  [Status.RUNNING]: 'running',
  [Status.STOPPED]: 'stopped',
  [Status.PAUSED]: 'paused',
  [Status.PAUSING]: 'pausing',
} as const;

type ContainerStatus = (typeof STATUSES)[Status] | 'none' | 'deleting';

export interface ContainerListQuery {
  /** Undefined: all nodes. */
  node?: string | undefined;
  /** As containerd has them. */
  filters: readonly string[];
}

/**
 * Containers with the state of their tasks, as their nodes tell. For nodes that do not answer the control plane's records
 * stand in, with the status `unknown`, or `deleting`.
 */
export async function listContainers(backends: Backends, call: RequestCall, query: ContainerListQuery) {
  const { node, filters } = query;
  if (node !== undefined) await backends.requireNode(node);
  const ownFilters = splitFilters(filters);
  const all = node === undefined ? filters : narrowed(filters, node);
  const answer = backends.lists.containers(call, all);
  const [tasks, containers] = await Promise.all([
    tasksOf(backends, call, node),
    Array.fromAsync(answer, ({ item, node }) => ({ item, node })),
  ]);
  const away = new Set(answer.unreachable());
  const isKnown = (node: string) => !tasks.unreachable.has(node);
  // A node that was cut off in the middle gave a part: the records have all of it.
  const listed = containers
    .filter((container) => !away.has(container.node))
    .map(({ item, node }) =>
      containerToJson(
        item,
        node,
        tasks.statuses.get(`${node}/${item.id}`) ?? (isKnown(node) ? 'none' : 'unknown'),
      ),
    );
  for (const node of away) {
    const own = ownFilters(node);
    if (own === undefined) continue;
    const options = { ...call, headers: { ...call.headers, [Header.Node]: node } };
    for await (const { container } of backends.containerRecords.listStream({ filters: [...own] }, options)) {
      if (container) listed.push(containerToJson(container, node, 'unknown'));
    }
  }
  listed.sort((a, b) => compare(a.id, b.id) || compare(a.node, b.node));
  return { containers: listed, unreachable_nodes: [...away].sort() };
}

async function tasksOf({ lists }: Backends, call: RequestCall, node: string | undefined) {
  const statuses = new Map<string, ContainerStatus>();
  const answer = lists.tasks(call, '', node);
  for await (const { item, node } of answer) statuses.set(`${node}/${idOf(item)}`, STATUSES[item.status]);
  return { statuses, unreachable: new Set(answer.unreachable()) };
}

/** Of a listed task, which is no exec, `id` is the container's. */
function idOf({ containerId, id }: Process): string {
  return containerId || id;
}

function narrowed(filters: readonly string[], node: string): string[] {
  const selector = `labels.${JSON.stringify(ReservedLabel.Node)}==${JSON.stringify(node)}`;
  return filters.length === 0
    ? [selector]
    : filters.map((filter) => (filter ? `${filter},${selector}` : selector));
}

function containerToJson(container: Container, node: string, status: ContainerStatus) {
  const { [ReservedLabel.Deleting]: deleting, ...labels } = container.labels;
  return {
    id: container.id,
    node,
    status: deleting === 'true' ? 'deleting' : status,
    image: container.image,
    labels,
    runtime: container.runtime?.name ?? '',
    snapshotter: container.snapshotter,
    snapshot_key: container.snapshotKey,
    sandbox: container.sandbox,
    created_at: timeToJson(container.createdAt),
    updated_at: timeToJson(container.updatedAt),
  };
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
