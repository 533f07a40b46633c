import { Channel, type ServiceClient } from '@longshore/client';
import { isKind } from '@longshore/errors';
import { type TlsFiles, Upstream } from '@longshore/kit';
import type { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';

/** An agent that has moved is found again after this time. */
const FRESH_MS = 2_000;
const LOOK_UP_TIMEOUT_MS = 5_000;

/** The way to a node's agent. */
export interface AgentConnection {
  address: string;
  /** For calls that are passed on. */
  upstream: Upstream;
  /** For calls of this process's own. */
  channel: Channel;
}

interface Entry {
  agent: AgentConnection;
  checkedAt: number;
}

/** Finds the agents of nodes by the registry of the runtime service, and keeps the connections to them. */
export class NodeDirectory {
  readonly #nodes: ServiceClient<typeof NodeService>;
  readonly #tls: TlsFiles;
  readonly #entries = new Map<string, Entry>();
  readonly #lookUps = new Map<string, Promise<AgentConnection>>();

  constructor(nodes: ServiceClient<typeof NodeService>, tls: TlsFiles) {
    this.#nodes = nodes;
    this.#tls = tls;
  }

  /** Throws NotFound for a node that has never registered. */
  async reach(id: string): Promise<AgentConnection> {
    const entry = this.#entries.get(id);
    if (entry && Date.now() - entry.checkedAt < FRESH_MS) return entry.agent;
    const underWay = this.#lookUps.get(id);
    if (underWay) return underWay;
    const lookUp = this.#lookUp(id, entry).finally(() => this.#lookUps.delete(id));
    this.#lookUps.set(id, lookUp);
    return lookUp;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#entries.values()].map(({ agent }) => disconnect(agent)));
    this.#entries.clear();
  }

  async #lookUp(id: string, known: Entry | undefined): Promise<AgentConnection> {
    const address = await this.#addressOf(id, known);
    if (known && known.agent.address !== address) await disconnect(known.agent);
    const agent =
      known?.agent.address === address
        ? known.agent
        : { address, upstream: new Upstream(address, this.#tls), channel: new Channel(address, this.#tls) };
    this.#entries.set(id, { agent, checkedAt: Date.now() });
    return agent;
  }

  async #addressOf(id: string, known: Entry | undefined): Promise<string> {
    try {
      const deadline = new Date(Date.now() + LOOK_UP_TIMEOUT_MS);
      const { node } = await this.#nodes.get({ id }, { deadline });
      return node?.address ?? '';
    } catch (error) {
      // A node stays reachable while the registry is not.
      if (known && isKind(error, 'Unavailable', 'DeadlineExceeded')) return known.agent.address;
      throw error;
    }
  }
}

async function disconnect({ upstream, channel }: AgentConnection): Promise<void> {
  channel.close();
  await upstream.close();
}
