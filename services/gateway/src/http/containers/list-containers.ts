import { FLEET } from '@longshore/proto/headers';
import type { ContainerPosition, ListedContainer } from '@longshore/proto/longshore/runtime/v1/containers';
import type { Backends } from '../backends.ts';
import { fromCursor, type PageQuery, toCursor } from '../page.ts';
import type { RequestCall } from '../request-call.ts';
import { type ContainerStatus, containerToJson, STATUSES } from './container-json.ts';

export interface ContainerListQuery extends PageQuery {
  /** Undefined: all nodes. */
  node?: string | undefined;
  /** As containerd has them. */
  filters: readonly string[];
  /** Whether nodes are asked for the states of tasks. */
  withStatus: boolean;
}

/**
 * A page of containers by the records of the control plane; with the states of their tasks, if wanted, for which the nodes of
 * this page are asked. What these do not tell is `unknown`.
 */
export async function listContainers(backends: Backends, call: RequestCall, query: ContainerListQuery) {
  const { node, filters, limit, cursor } = query;
  if (node !== undefined && node !== FLEET) await backends.requireNode(node);
  const after = positionOf(cursor);
  const { containers, next } = await backends.containers.listPage(
    { filters: [...filters], node: node ?? '', limit, ...(after && { after }) },
    { ...call, headers: { ...call.headers } },
  );
  const tasks = query.withStatus ? await tasksOf(backends, call, byNode(containers)) : NOT_ASKED;
  const items = containers.map(({ container, node }) => {
    if (!container) throw new TypeError('a listed container lacks its record');
    return containerToJson(container, node, tasks.statusOf(node, container.id));
  });
  return {
    items,
    next_cursor: next ? toCursor([next.id, next.node]) : null,
    unreachable_nodes: tasks.unreachable,
  };
}

const NOT_ASKED = { statusOf: () => null, unreachable: [] };

async function tasksOf(
  { lists }: Backends,
  call: RequestCall,
  containers: ReadonlyMap<string, readonly string[]>,
) {
  const statuses = new Map<string, ContainerStatus>();
  const answer = lists.tasksOf(call, containers);
  // Of a task, which is no exec, `id` is the container's.
  for await (const { item, node } of answer) {
    statuses.set(`${node}/${item.containerId || item.id}`, STATUSES[item.status]);
  }
  const unreachable = answer.unreachable();
  const away = new Set(unreachable);
  return {
    unreachable,
    statusOf: (node: string, id: string): ContainerStatus =>
      statuses.get(`${node}/${id}`) ?? (away.has(node) ? 'unknown' : 'none'),
  };
}

/** Ids by node; the fleet's own scope has no tasks. */
function byNode(containers: readonly ListedContainer[]): Map<string, string[]> {
  const ids = new Map<string, string[]>();
  for (const { node, container } of containers) {
    if (node === FLEET || !container) continue;
    const known = ids.get(node);
    if (known) known.push(container.id);
    else ids.set(node, [container.id]);
  }
  return ids;
}

function positionOf(cursor: string | undefined): Pick<ContainerPosition, 'id' | 'node'> | undefined {
  const [id, node] = fromCursor(cursor, 2) ?? [];
  return id === undefined || node === undefined ? undefined : { id, node };
}
