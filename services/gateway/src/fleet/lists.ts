import { isKind } from '@longshore/errors';
import { type Container, Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Store } from '@longshore/proto/containerd/services/sandbox/v1/sandbox';
import { type Info, Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import type { Metric } from '@longshore/proto/containerd/types/metrics';
import type { Sandbox } from '@longshore/proto/containerd/types/sandbox';
import type { Process } from '@longshore/proto/containerd/v1/types/task';
import type { CallOptions } from '@longshore/rpc';
import type { NodeConnection } from '../nodes/node-connection.ts';
import type { NodesOfMatches } from '../nodes/nodes-of-matches.ts';
import type { Asker, Choice, FanOut, FleetAnswer } from './fan-out.ts';
import { filtersOfItems, splitFilters } from './node-filter.ts';

/** What containerd's API lists, over all nodes. Items come as their nodes give them, in no order. */
export class FleetLists {
  readonly #fanOut: FanOut;
  readonly #nodesOfMatches: NodesOfMatches;

  constructor(fanOut: FanOut, nodesOfMatches: NodesOfMatches) {
    this.#fanOut = fanOut;
    this.#nodesOfMatches = nodesOfMatches;
  }

  /** With filters only of the nodes that have a match by the control plane's records, as far as these can tell. */
  containers(asker: Asker, filters: readonly string[]): FleetAnswer<Container> {
    const wanted = filtersOfItems(filters);
    const choice: Choice | undefined = wanted && ((options) => this.#nodesOfMatches(wanted, options));
    async function* list(node: NodeConnection, filters: string[], options: CallOptions) {
      for await (const { container } of node.client(Containers).listStream({ filters }, options)) {
        if (container) yield container;
      }
    }
    return this.#filtered(asker, filters, list, choice);
  }

  sandboxes(asker: Asker, filters: readonly string[]): FleetAnswer<Sandbox> {
    return this.#filtered(asker, filters, async function* (node, filters, options) {
      yield* (await node.client(Store).list({ filters }, options)).list;
    });
  }

  /** Of all nodes, or of the one that is named. */
  snapshots(asker: Asker, snapshotter: string, filters: readonly string[], only?: string): FleetAnswer<Info> {
    async function* list(node: NodeConnection, filters: string[], options: CallOptions) {
      const request = { snapshotter, filters };
      for await (const { info } of node.client(Snapshots).list(request, options)) yield* info;
    }
    const choice = only === undefined ? undefined : async () => new Set([only]);
    return this.#filtered(asker, filters, list, choice, only);
  }

  /** Of all nodes, or of one. */
  tasks(asker: Asker, filter: string, node?: string): FleetAnswer<Process> {
    async function* list(node: NodeConnection, options: CallOptions) {
      yield* (await node.client(Tasks).list({ filter }, options)).tasks;
    }
    return this.#fanOut.ask(asker, list, node === undefined ? undefined : async () => new Set([node]));
  }

  /**
   * Of these containers, by node: of those that have a task. Lists ask every shim of a node, so each task is asked for by
   * itself, however many others there are.
   */
  tasksOf(asker: Asker, containers: ReadonlyMap<string, readonly string[]>): FleetAnswer<Process> {
    async function* get(node: NodeConnection, ids: readonly string[], options: CallOptions) {
      const client = node.client(Tasks);
      const asked = ids.map((containerId) => client.get({ containerId }, options).catch(none));
      for (const { process } of await Promise.all(asked)) if (process) yield process;
    }
    const question = (node: NodeConnection, options: CallOptions) => {
      const ids = containers.get(node.id);
      return ids && get(node, ids, options);
    };
    const nodes = new Set(containers.keys());
    return this.#fanOut.ask(asker, question, async () => nodes);
  }

  /** Filters are of containerd's tasks, which have no labels. */
  metrics(asker: Asker, filters: string[]): FleetAnswer<Metric> {
    return this.#fanOut.ask(asker, async function* (node, options) {
      yield* (await node.client(Tasks).metrics({ filters }, options)).metrics;
    });
  }

  #filtered<T>(
    asker: Asker,
    filters: readonly string[],
    list: (node: NodeConnection, filters: string[], options: CallOptions) => AsyncIterable<T>,
    choice?: Choice,
    only?: string,
  ): FleetAnswer<T> {
    const filtersOf = splitFilters(filters);
    const question = (node: NodeConnection, options: CallOptions) => {
      if (only !== undefined && only !== node.id) return undefined;
      const own = filtersOf(node.id);
      return own && list(node, [...own], options);
    };
    return this.#fanOut.ask(asker, question, choice);
  }
}

/** For a container without a task. */
function none(error: unknown): { process?: Process } {
  if (isKind(error, 'NotFound')) return {};
  throw error;
}
