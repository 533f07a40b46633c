import type { Toolchain } from '../toolchain.ts';
import { CABLE_HOST, cableHost, type FleetLayout, type NodeLayout, PORTS } from './layout.ts';
import type { Namespaces } from './namespaces.ts';
import { controlHosts } from './network.ts';
import type { Route } from './relay.ts';
import { RelayProcess } from './relay-process.ts';

const FIRST_CABLE_PORT = 20_000;
const AGENT_CABLE_PORT = 27_020;
const CALLED_BY_NODES = [
  'content',
  'image',
  'snapshot',
  'runtime',
  'events',
  'join',
  'blobs',
  'registry',
] as const;

/*
 * A delay without help from the kernel. Each end of the cable has the other end's addresses on its own loopback, and a
 * relay listens there: what a node says to content goes to the relay beside it, over the cable, to the relay beside
 * content, to content. The relay of the node's side holds everything back for the delay, both ways.
 */

/** Each address and port that nodes call, and where the cable carries it. */
function controlRoutes(layout: FleetLayout): { target: string; carried: string }[] {
  const targets = controlHosts(layout).flatMap((host) =>
    CALLED_BY_NODES.map((name) => `${host}:${PORTS[name]}`),
  );
  return targets.map((target, index) => ({ target, carried: `${CABLE_HOST}:${FIRST_CABLE_PORT + index}` }));
}

/** The relays of one node; their delay can be changed at any time, also that of connections which are there. */
export function nodeRelay(
  node: NodeLayout,
  inside: Namespaces,
  layout: FleetLayout,
  tools: Toolchain,
  logPath: string,
): RelayProcess {
  const routes: Route[] = [
    ...controlRoutes(layout).map(({ target, carried }) => ({ listen: target, connect: carried })),
    {
      listen: `${cableHost(node.index)}:${AGENT_CABLE_PORT}`,
      connect: `${node.host}:${PORTS.agent}`,
    },
  ];
  return new RelayProcess(`relay-${node.id}`, inside, routes, logPath, tools);
}

/** What the control plane's end of these nodes' cables does. */
export function controlEndRoutes(layout: FleetLayout, nodes: readonly NodeLayout[]): Route[] {
  return [
    ...controlRoutes(layout).map(({ target, carried }) => ({ listen: carried, connect: target })),
    ...nodes.map((node) => ({
      listen: `${node.host}:${PORTS.agent}`,
      connect: `${cableHost(node.index)}:${AGENT_CABLE_PORT}`,
    })),
  ];
}
