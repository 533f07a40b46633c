import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import { invalidArgument } from '@longshore/errors';
import { SERVICE_NAMES, type ServiceName } from '../services.ts';
import { checkSocketPath } from '../socket-path.ts';

/** What runs in the control plane, twice over or more. */
export type ControlService = Exclude<ServiceName, 'agent'>;

export const CONTROL_SERVICES = SERVICE_NAMES.filter((name): name is ControlService => name !== 'agent');

/** The network is the fleet's own and nobody else's: the same addresses do for every fleet on the machine. */
export const PORTS = {
  gateway: 7000,
  content: 7001,
  image: 7002,
  snapshot: 7003,
  runtime: 7004,
  events: 7005,
  join: 7010,
  blobs: 7011,
  agent: 7020,
  registry: 5000,
  nats: 4222,
  s3: 9000,
} as const;

/** Inside the control plane's namespace only, on loopback: HTTP without TLS, reached through a forwarder. */
export const gatewayHttpPort = (replica: number) => 8080 + replica;

export const MAX_REPLICAS = 8;
export const MAX_NODES = 99;

/** Each replica has an address, as if on a host of its own. */
export const replicaHost = (replica: number) => `10.77.0.${replica}`;
export const REGISTRY_HOST = '10.77.0.9';
export const nodeHost = (index: number) => `10.77.0.${100 + index}`;
/** The cable under a delayed link: see `delayed-link.ts`. */
export const CABLE_HOST = '10.77.1.1';
export const cableHost = (index: number) => `10.77.1.${100 + index}`;

export interface NodeLayout {
  /** `n1`, `n2`, … */
  id: string;
  /** From 1. */
  index: number;
  root: string;
  state: string;
  socket: string;
  host: string;
}

/** Where one fleet keeps everything. Several may run side by side, each with its own root and state. */
export interface FleetLayout {
  root: string;
  state: string;
  logDir: string;
  /** Durable state that all replicas share: blobs, the certificate authority, identities. */
  controlRoot: string;
  identityDir: string;
  authorityDir: string;
  blobDir: string;
  replicas: readonly number[];
  nodes: readonly NodeLayout[];
  /** Tells this fleet's processes and cgroups from another's. */
  hash: string;
  replicaState(replica: number): string;
  /** Of every replica of a service, as the configuration takes them. */
  addresses(service: ControlService): string;
}

/** Throws InvalidArgument for numbers out of range, or when a socket's path would be too long. */
export function fleetLayout(options: {
  root: string;
  state: string;
  nodes: number;
  replicas: number;
}): FleetLayout {
  checkCount('nodes', options.nodes, 0, MAX_NODES);
  checkCount('replicas', options.replicas, 1, MAX_REPLICAS);
  const root = resolve(options.root);
  const state = resolve(options.state);
  const controlRoot = join(root, 'control');
  const replicas = countTo(options.replicas);
  const nodes = countTo(options.nodes).map((index): NodeLayout => {
    const id = `n${index}`;
    const socket = join(state, id, 'longshore.sock');
    return { id, index, root: join(root, id), state: join(state, id), socket, host: nodeHost(index) };
  });
  for (const { socket } of nodes) checkSocketPath(`${socket}.ttrpc`);
  return {
    root,
    state,
    logDir: join(state, 'logs'),
    controlRoot,
    identityDir: join(controlRoot, 'identity'),
    authorityDir: join(controlRoot, 'ca'),
    blobDir: join(controlRoot, 'content'),
    replicas,
    nodes,
    hash: createHash('sha256').update(state).digest('hex').slice(0, 12),
    replicaState: (replica) => join(state, `c${replica}`),
    addresses: (service) => replicas.map((replica) => `${replicaHost(replica)}:${PORTS[service]}`).join(','),
  };
}

function checkCount(what: string, count: number, least: number, most: number): void {
  if (Number.isInteger(count) && count >= least && count <= most) return;
  throw invalidArgument(`${what} ${count}: want a whole number from ${least} to ${most}`);
}

function countTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
