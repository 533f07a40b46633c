import { type Container, Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import type { Process } from '@longshore/proto/containerd/v1/types/task';
import { ReservedLabel } from '@longshore/proto/headers';
import type { Calls } from '../calls.ts';
import { type ContainerStatus, STATUSES } from './statuses.ts';
import { unreachableIn } from './unreachable.ts';

export interface ListedContainer {
  record: Container;
  task: Process | undefined;
  namespace: string;
  /** Empty on a node's own socket. */
  node: string;
  status: ContainerStatus;
}

export interface ContainerList {
  items: ListedContainer[];
  /** Nodes that did not answer. */
  unreachable: string[];
}

/** Containers with their tasks, by id; over all nodes at a gateway, unless the client is for one. */
export async function listContainers(client: Calls, filters: readonly string[] = []): Promise<ContainerList> {
  const unreachable = new Set<string>();
  const onTrailers = unreachableIn(unreachable);
  const records: Container[] = [];
  const recordsRead = (async () => {
    const list = client.service(Containers).listStream({ filters: [...filters] }, { onTrailers });
    for await (const { container } of list) if (container) records.push(container);
  })();
  const [{ tasks }] = await Promise.all([client.service(Tasks).list({}, { onTrailers }), recordsRead]);
  const taskOf = await taskFinder(client, records, tasks);
  const items = records.map((record) => listed(client, record, taskOf(record)));
  items.sort((a, b) => compare(a.record.id, b.record.id) || compare(a.node, b.node));
  return { items, unreachable: [...unreachable].sort() };
}

export function listed(client: Calls, record: Container, task: Process | undefined): ListedContainer {
  const isDeleting = record.labels[ReservedLabel.Deleting] === 'true';
  const status = isDeleting ? 'deleting' : task ? (STATUSES[task.status] ?? 'unknown') : 'none';
  return { record, task, namespace: client.namespace, node: nodeOf(client, record), status };
}

/** Of a listed task, which is no exec, `id` is the container's. */
export function containerIdOf({ containerId, id }: Process): string {
  return containerId || id;
}

function nodeOf(client: Calls, record: Container): string {
  return record.labels[ReservedLabel.Node] ?? client.node ?? '';
}

/** Tasks do not say on which node they are: where an id is on several, each of these is asked. */
async function taskFinder(client: Calls, records: readonly Container[], tasks: readonly Process[]) {
  const byId = new Map(tasks.map((task) => [containerIdOf(task), task]));
  const nodesById = Map.groupBy(records, ({ id }) => id);
  const shared = [...nodesById.values()].filter((same) => same.length > 1).flat();
  const nodes = new Set(shared.map((record) => nodeOf(client, record)));
  const ofNode = new Map<string, Map<string, Process>>();
  for (const node of nodes) {
    const answer = await client
      .in({ node })
      .service(Tasks)
      .list({})
      .catch(() => ({ tasks: [] }));
    ofNode.set(node, new Map(answer.tasks.map((task) => [containerIdOf(task), task])));
  }
  return (record: Container) => {
    const own = nodesById.get(record.id)!.length > 1 ? ofNode.get(nodeOf(client, record)) : byId;
    return own?.get(record.id);
  };
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
