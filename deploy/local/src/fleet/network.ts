import {
  CABLE_HOST,
  cableHost,
  type FleetLayout,
  type NodeLayout,
  REGISTRY_HOST,
  replicaHost,
} from './layout.ts';
import type { Namespaces } from './namespaces.ts';

const BRIDGE = 'br0';
/** The node's end of its cable; the control plane's end is called as the node. */
const DEVICE = 'eth0';
/** Nobody's: frames to it are dropped by all, and their sender does not hear of it. */
const LOST_MAC = '02:00:00:00:de:ad';

/** `to-control`: what the node sends is lost; `to-node`: what is sent to it is; `both`: the cable is cut. */
export type Partition = 'both' | 'to-control' | 'to-node';

/** Lays the bridge that the control plane's addresses are on. */
export async function layBridge(control: Namespaces, layout: FleetLayout): Promise<void> {
  const addresses = [...controlHosts(layout), CABLE_HOST];
  await control.ip(
    'link set lo up',
    `link add ${BRIDGE} type bridge`,
    ...addresses.map((address) => `addr add ${address}/24 dev ${BRIDGE}`),
    `link set ${BRIDGE} up`,
  );
}

/** A pair of virtual interfaces between the bridge and a node. */
export class Link {
  readonly #control: Namespaces;
  readonly #node: Namespaces;
  readonly #port: string;
  /** What each end must reach, for the other to hear of it. */
  readonly #fromNode: readonly string[];
  readonly #fromControl: string;

  private constructor(
    control: Namespaces,
    node: Namespaces,
    layout: FleetLayout,
    self: NodeLayout,
    isDelayed: boolean,
  ) {
    this.#control = control;
    this.#node = node;
    this.#port = self.id;
    this.#fromNode = isDelayed ? [CABLE_HOST] : controlHosts(layout);
    this.#fromControl = isDelayed ? cableHost(self.index) : self.host;
  }

  /**
   * `isDelayed`: the cable has addresses of its own, and each end has those of the other as if they were its own,
   * for the relays of a {@link DelayedLink} to listen on.
   */
  static async lay(
    control: Namespaces,
    node: Namespaces,
    layout: FleetLayout,
    self: NodeLayout,
    isDelayed: boolean,
  ): Promise<Link> {
    const link = new Link(control, node, layout, self, isDelayed);
    await control.ip(
      `link add ${self.id} type veth peer name ${DEVICE} netns ${node.pid}`,
      `link set ${self.id} master ${BRIDGE} up`,
      ...(isDelayed ? [`addr add ${self.host}/32 dev lo`] : []),
    );
    const onLoopback = isDelayed ? [self.host, ...controlHosts(layout)] : [];
    await node.ip(
      'link set lo up',
      ...onLoopback.map((address) => `addr add ${address}/32 dev lo`),
      `addr add ${link.#fromControl}/24 dev ${DEVICE}`,
      `link set ${DEVICE} up`,
    );
    return link;
  }

  /** As a cable that is pulled: packets are lost in silence. For a person to type, from the root namespace. */
  cutCommand(state: 'down' | 'up'): string {
    return this.#control.enter(['ip', 'link', 'set', this.#port, state]).join(' ');
  }

  down(): Promise<void> {
    return this.#control.ip(`link set ${this.#port} down`);
  }

  up(): Promise<void> {
    return this.#control.ip(`link set ${this.#port} up`);
  }

  /** No packet filter is needed for this: packets go to an address of the link layer that nobody has. */
  async partition(partition: Partition): Promise<void> {
    if (partition === 'both') return await this.down();
    if (partition === 'to-node') return await this.#control.ip(lose(this.#fromControl, BRIDGE));
    await this.#node.ip(...this.#fromNode.map((address) => lose(address, DEVICE)));
  }

  /** Undoes `down` and any partition. */
  async heal(): Promise<void> {
    await this.up();
    await this.#forget(this.#control, BRIDGE, [this.#fromControl]);
    await this.#forget(this.#node, DEVICE, this.#fromNode);
  }

  async #forget(side: Namespaces, device: string, addresses: readonly string[]): Promise<void> {
    const lost = (await side.run(['ip', 'neigh', 'show', 'nud', 'permanent', 'dev', device])).split('\n');
    const known = addresses.filter((address) => lost.some((line) => line.startsWith(`${address} `)));
    if (known.length > 0) await side.ip(...known.map((address) => `neigh del ${address} dev ${device}`));
  }
}

function lose(address: string, device: string): string {
  return `neigh replace ${address} lladdr ${LOST_MAC} dev ${device} nud permanent`;
}

/** All addresses that nodes reach. */
export function controlHosts(layout: FleetLayout): string[] {
  return [...layout.replicas.map(replicaHost), REGISTRY_HOST];
}
