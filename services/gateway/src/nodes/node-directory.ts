import { setTimeout as delay } from 'node:timers/promises';
import { isKind, messageOf, notFound, unavailable } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { type Node, type NodeService, NodeState } from '@longshore/proto/longshore/runtime/v1/nodes';
import type { ServiceClient } from '@longshore/rpc';
import type { Revocations, TlsFiles } from '@longshore/transport';
import { NodeConnection } from './node-connection.ts';

/** An agent that has moved is found again after this time. One list serves all calls meanwhile. */
const FRESH_MS = 2_000;
const LOOK_UP_TIMEOUT_MS = 5_000;
/** More than a list takes while the registry is well. What is known is not worth a longer wait. */
const REFRESH_WAIT_MS = 500;

export interface NodeDirectoryOptions {
  /** Whose certificates are worthless. */
  revocations: Revocations;
  log: Logger;
}

/**
 * Finds the agents of nodes by the registry of the runtime service, and keeps the connections to them. What is known
 * stays good while the registry is away, and is answered at once; only for a node that is not known it is waited for.
 */
export class NodeDirectory {
  readonly #registry: ServiceClient<typeof NodeService>;
  readonly #tls: TlsFiles;
  readonly #options: NodeDirectoryOptions;
  readonly #connections = new Map<string, NodeConnection>();
  #refresh: Promise<void> | undefined;
  #isListed = false;
  /** The registry was waited for in vain, and has not answered since. */
  #isLate = false;
  /** Of the last list that was tried, in the time of `performance.now`. */
  #triedAt = Number.NEGATIVE_INFINITY;

  constructor(registry: ServiceClient<typeof NodeService>, tls: TlsFiles, options: NodeDirectoryOptions) {
    this.#registry = registry;
    this.#tls = tls;
    this.#options = options;
  }

  /** Every node that has reported and is not gone, in byte order of the ids. */
  async all(): Promise<readonly NodeConnection[]> {
    await this.#freshen();
    const connections = [...this.#connections.values()];
    return connections.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /**
   * The way to one node. Throws NotFound for a node that nobody knows or that is gone, and Unavailable for one that is
   * known to be away or has not reported yet.
   */
  async reach(id: string): Promise<NodeConnection> {
    const connection = await this.find(id);
    connection.requireReachable();
    return connection;
  }

  /** As {@link reach}, but whether the node can be reached is not looked at. */
  async find(id: string): Promise<NodeConnection> {
    await this.#freshen();
    return this.#connections.get(id) ?? (await this.#lookUp(id));
  }

  async close(): Promise<void> {
    const connections = [...this.#connections.values()];
    this.#connections.clear();
    await Promise.all(connections.map((connection) => connection.close()));
  }

  async #freshen(): Promise<void> {
    if (performance.now() - this.#triedAt < FRESH_MS) return;
    this.#refresh ??= this.#list().finally(() => {
      this.#refresh = undefined;
    });
    if (!this.#isListed) return this.#refresh;
    if (this.#isLate) return;
    const given = new AbortController();
    const late = delay(REFRESH_WAIT_MS, 'late', { signal: given.signal }).catch(() => undefined);
    if ((await Promise.race([this.#refresh, late])) === 'late') this.#isLate = true;
    given.abort();
  }

  /** Throws only as long as nothing is known. */
  async #list(): Promise<void> {
    try {
      const { nodes } = await this.#registry.list({}, { deadline: soon() });
      const ids = new Set(nodes.map(({ id }) => id));
      for (const id of this.#connections.keys()) if (!ids.has(id)) this.#forget(id);
      for (const node of nodes) this.#learn(node);
      this.#isListed = true;
      this.#isLate = false;
    } catch (error) {
      if (!this.#isListed) throw error;
      const isAway = isKind(error, 'Unavailable', 'DeadlineExceeded');
      const level = isAway ? 'info' : 'error';
      this.#options.log[level]({ error: messageOf(error) }, 'nodes cannot be listed; going by what is known');
    }
    this.#triedAt = performance.now();
  }

  /** For a node that has come since the last list. */
  async #lookUp(id: string): Promise<NodeConnection> {
    const { node } = await this.#registry.get({ id }, { deadline: soon() });
    if (node === undefined || node.state === NodeState.GONE) throw notFound(`node ${JSON.stringify(id)}`);
    const connection = this.#learn(node);
    if (connection === undefined) {
      throw unavailable(`node ${JSON.stringify(id)}: it has not reported where it can be reached`);
    }
    return connection;
  }

  /** Undefined for a node that has no address, or one that nobody can use: that is no reason not to find the others. */
  #learn(node: Node): NodeConnection | undefined {
    const known = this.#connections.get(node.id);
    if (known && known.address === node.address) {
      known.update(node.state);
      return known;
    }
    if (known) this.#forget(node.id);
    if (node.address === '') return undefined;
    try {
      const connection = new NodeConnection(node, this.#tls, this.#options);
      this.#connections.set(node.id, connection);
      return connection;
    } catch (error) {
      this.#options.log.info({ node: node.id, error: messageOf(error) }, 'node has no usable address');
      return undefined;
    }
  }

  #forget(id: string): void {
    const connection = this.#connections.get(id);
    this.#connections.delete(id);
    void connection?.close();
  }
}

function soon(): Date {
  return new Date(Date.now() + LOOK_UP_TIMEOUT_MS);
}
