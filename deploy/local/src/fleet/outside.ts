import { join } from 'node:path';
import { Supervisor } from '../supervisor.ts';
import type { Toolchain } from '../toolchain.ts';
import {
  CONTROL_SERVICES,
  type FleetLayout,
  gatewayHttpPort,
  PORTS,
  REGISTRY_HOST,
  replicaHost,
} from './layout.ts';
import type { Namespaces } from './namespaces.ts';
import { type Route, relay } from './relay.ts';
import { RelayProcess } from './relay-process.ts';

/** What people and tests reach from the machine itself; `<name>-<replica>` where there are several. */
function targets(layout: FleetLayout): Record<string, string> {
  const perReplica = layout.replicas.flatMap((replica) => [
    ...CONTROL_SERVICES.map((service) => [
      `${service}-${replica}`,
      `${replicaHost(replica)}:${PORTS[service]}`,
    ]),
    [`http-${replica}`, `127.0.0.1:${gatewayHttpPort(replica)}`],
    [`blobs-${replica}`, `${replicaHost(replica)}:${PORTS.blobs}`],
    [`join-${replica}`, `${replicaHost(replica)}:${PORTS.join}`],
  ]);
  return Object.fromEntries([
    ...perReplica,
    ...layout.nodes.map(({ id, host }) => [`agent-${id}`, `${host}:${PORTS.agent}`]),
    ['nats', `127.0.0.1:${PORTS.nats}`],
    ['registry', `${REGISTRY_HOST}:${PORTS.registry}`],
  ]);
}

/**
 * The way into the control plane's network namespace: a relay in there takes what comes in by unix sockets, which know
 * no such namespaces, and one in this process hands to those what comes to ports on loopback.
 */
export class Outside implements AsyncDisposable {
  readonly #addresses: ReadonlyMap<string, string>;
  readonly #resources: AsyncDisposableStack;

  private constructor(addresses: ReadonlyMap<string, string>, resources: AsyncDisposableStack) {
    this.#addresses = addresses;
    this.#resources = resources;
  }

  static async open(
    layout: FleetLayout,
    inside: Namespaces,
    tools: Toolchain,
    report: (line: string) => void,
  ): Promise<Outside> {
    await using undo = new AsyncDisposableStack();
    const socketOf = (name: string) => join(layout.state, 'doors', name);
    const routes = Object.entries(targets(layout)).map(
      ([name, target]): Route => ({ listen: socketOf(name), connect: target }),
    );
    const relays = new RelayProcess('doors', inside, routes, join(layout.logDir, 'doors.log'), tools);
    const supervisor = undo.use(new Supervisor(report));
    await supervisor.startWave([relays.unit]);
    const addresses = new Map<string, string>();
    for (const name of Object.keys(targets(layout))) {
      const door = await relay({ listen: '127.0.0.1:0', connect: socketOf(name) });
      undo.defer(() => door.close());
      addresses.set(name, door.address);
    }
    return new Outside(addresses, undo.move());
  }

  /** `127.0.0.1:port` of e.g. `gateway-1`, `http-2`, `nats`. */
  address(name: string): string {
    const address = this.#addresses.get(name);
    if (address === undefined) throw new RangeError(`no door "${name}"`);
    return address;
  }

  close(): Promise<void> {
    return this.#resources.disposeAsync();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
