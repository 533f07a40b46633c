import { isKind } from '@longshore/errors';
import { FLEET, Header } from '@longshore/proto/headers';
import type { Backends } from '../backends.ts';
import { listContainers } from '../containers/list-containers.ts';
import { imageToJson } from '../image-json.ts';
import { forPage, pageOf } from '../page.ts';
import type { RequestCall } from '../request-call.ts';
import { taskToJson, unknownTask } from '../tasks/task-json.ts';

const PAGE_SIZE = 200;

/** Something that is watched, and where it is. */
export interface WatchedItem {
  node: string;
  name: string;
  object: unknown;
}

/** One kind of what can be watched. Both ways ask the owner of the records, who knew of a change before its event was told. */
export interface WatchedKind {
  /** Of the events after which it may be another. */
  topics: readonly string[];
  /** Undefined for a node: as without the query. Adds to `unreachable` the nodes that did not tell all. */
  list(
    backends: Backends,
    call: RequestCall,
    node: string | undefined,
    unreachable: Set<string>,
  ): AsyncIterable<WatchedItem>;
  /** Undefined for what is gone. */
  get(backends: Backends, call: RequestCall, node: string, name: string): Promise<unknown>;
}

const topicsOf = (of: string, ...changes: string[]) => changes.map((change) => `/${of}/${change}`);

const containers: WatchedKind = {
  topics: [
    ...topicsOf('containers', 'create', 'update', 'delete'),
    ...topicsOf('tasks', 'create', 'start', 'paused', 'resumed', 'exit', 'delete'),
  ],

  async *list(backends, call, node, unreachable) {
    let cursor: string | undefined;
    do {
      const query = { node, filters: [], limit: PAGE_SIZE, withStatus: true, ...(cursor && { cursor }) };
      const page = await listContainers(backends, call, query);
      for (const away of page.unreachable_nodes) unreachable.add(away);
      for (const object of page.items) yield { node: object.node, name: object.id, object };
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
  },

  async get(backends, call, node, name) {
    const query = { node, filters: [`id==${JSON.stringify(name)}`], limit: 1, withStatus: true };
    return (await listContainers(backends, call, query)).items[0];
  },
};

const tasks: WatchedKind = {
  topics: topicsOf('tasks', 'create', 'start', 'paused', 'resumed', 'exit', 'delete'),

  async *list({ lists }, call, node, unreachable) {
    const answer = lists.tasks(call, '', node);
    for await (const { item, node } of answer) {
      const object = taskToJson(item, node);
      yield { node, name: object.id, object };
    }
    for (const away of answer.unreachable()) unreachable.add(away);
  },

  async get({ lists }, call, node, name) {
    const answer = lists.tasksOf(call, new Map([[node, [name]]]));
    const [found] = await Array.fromAsync(answer);
    if (found) return taskToJson(found.item, node);
    return answer.unreachable().length > 0 ? unknownTask(node, name) : undefined;
  },
};

const images: WatchedKind = {
  topics: topicsOf('images', 'create', 'update', 'delete'),

  async *list(backends, call, node = FLEET) {
    const { images } = await backends.in(FLEET);
    const scope = inScope(call, node);
    let cursor: string | undefined;
    do {
      const query = { limit: PAGE_SIZE, ...(cursor && { cursor }) };
      const { images: some } = await images.list({}, forPage(scope, query));
      const page = await pageOf(some, ({ name }) => [name], query);
      for (const image of page.items) yield { node, name: image.name, object: imageToJson(image) };
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
  },

  async get(backends, call, node, name) {
    const { images } = await backends.in(FLEET);
    try {
      const { image } = await images.get({ name }, inScope(call, node));
      return image && imageToJson(image);
    } catch (error) {
      if (isKind(error, 'NotFound')) return undefined;
      throw error;
    }
  },
};

export const WATCHED_KINDS = { containers, images, tasks } as const;

/** Of a node's records, of which the control plane is asked. */
function inScope(call: RequestCall, node: string): RequestCall {
  return { ...call, headers: { ...call.headers, [Header.Node]: node } };
}
