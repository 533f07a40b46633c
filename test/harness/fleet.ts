import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ControlPlane,
  guard,
  type Image,
  type Fleet as LocalFleet,
  type FleetOptions as LocalOptions,
  pushImage,
  type RegistryRequest,
  startFleet as startLocalFleet,
} from '@longshore/local';
import { Channel } from '@longshore/rpc';
import type { TlsFiles } from '@longshore/transport';
import { FleetStores } from './fleet-stores.ts';
import { cgroupsOf, expectNone, mountsBelow, networkNamespacesIn, processesOf } from './leftovers.ts';
import { TestNode } from './test-node.ts';

const CLOCK_OFFSET = new URL('./clock-offset.mjs', import.meta.url).href;

export interface FleetOptions
  extends Pick<LocalOptions, 'bucket' | 'delayedNodes' | 'delayMs' | 'durable' | 'env' | 'nodeDiskBytes'> {
  /** Default 2. */
  nodes?: number;
  /** Default 2. */
  replicas?: number;
  /** Further variables of a node's agent. */
  nodeEnv?: (id: string) => NodeJS.ProcessEnv;
  /** How wrong a node's clock is; positive is fast. */
  clockOffsetMs?: (id: string) => number;
}

/** A whole fleet on this machine, everything private to the test. */
export interface Fleet extends AsyncDisposable {
  readonly root: string;
  readonly state: string;
  readonly nodes: readonly TestNode[];
  /** `n1`, `n2`, … Throws RangeError for one that the fleet does not have. */
  node(id: string): TestNode;
  /** Its processes, by service and replica (from 1). */
  readonly controlPlane: ControlPlane;
  readonly stores: FleetStores;
  /** As superuser of the database `longshore`; readable also while services are away. */
  readonly databaseUrl: string;
  /** `host:port` as nodes and the control plane name the registry; HTTP, reachable from within only. */
  readonly registryHost: string;
  /** Pushes to the registry; answers the reference to pull. */
  push(repository: string, tag: string, image: Image): Promise<string>;
  /** The registry's access log, since its start or `forgetRegistryRequests`. */
  registryRequests(): readonly RegistryRequest[];
  forgetRegistryRequests(): void;
  /** To the gateway's gRPC, as an admin with a certificate; to one replica, default: all. The caller closes it. */
  gateway(user: string, replica?: number): Promise<Channel>;
  /** Makes a person an admin, and answers their certificate. */
  admin(user: string): Promise<TlsFiles>;
  /** To `runtime` directly, as a service; for what has no way at the edge. The caller closes it. */
  runtime(): Channel;
  /** To the gateway's HTTP API, with the admin token. */
  http(path: string, init?: RequestInit & { replica?: number }): Promise<Response>;
  /** The runner's own handle, for what is not here. */
  readonly local: LocalFleet;
  /** What the supervisors reported: processes that ended by themselves. */
  readonly reports: string[];
  /** Stops everything, then fails if anything is left: processes, mounts, cgroups, network namespaces. */
  close(): Promise<void>;
}

export async function startFleet(options: FleetOptions = {}): Promise<Fleet> {
  await using undo = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), 'longshore-fleet-'));
  // Postgres' own user must be able to pass through.
  await chmod(root, 0o711);
  const state = `/run/longshore-fleet-${randomBytes(4).toString('hex')}`;
  await mkdir(state, { mode: 0o711 });
  for (const directory of [root, state]) guard().removeWithUs(directory);
  undo.defer(async () => {
    await rm(root, { recursive: true, force: true });
    await rm(state, { recursive: true, force: true });
  });
  const reports: string[] = [];
  const local = await startLocalFleet({
    root,
    state,
    nodes: options.nodes ?? 2,
    replicas: options.replicas ?? 2,
    durable: options.durable ?? false,
    report: (line) => reports.push(line),
    ...(options.delayMs !== undefined && { delayMs: options.delayMs }),
    ...(options.delayedNodes && { delayedNodes: options.delayedNodes }),
    ...(options.env && { env: options.env }),
    ...(options.bucket && { bucket: options.bucket }),
    ...(options.nodeDiskBytes && { nodeDiskBytes: options.nodeDiskBytes }),
    nodeEnv: (id) => ({ ...clockEnvironment(options.clockOffsetMs?.(id)), ...options.nodeEnv?.(id) }),
  });
  undo.use(local);
  const nodes = local.nodes.map((node) => new TestNode(node));
  const { layout, outside, authority } = local;
  const owned = undo.move();
  const close = async () => {
    await Promise.all(nodes.map((node) => node.removeContainers((line) => reports.push(line))));
    await local.close();
    try {
      const parents = local.nodes.map(({ cgroupParent }) => cgroupParent);
      await expectNone(() => [
        ...[root, state].flatMap(processesOf),
        ...mountsBelow([root, state]),
        ...parents.flatMap(cgroupsOf),
        ...parents.flatMap(networkNamespacesIn),
      ]);
    } finally {
      await owned.disposeAsync();
    }
  };
  const doors = (service: string, replica?: number) => {
    const replicas = replica === undefined ? layout.replicas : [replica];
    return replicas.map((each) => outside.address(`${service}-${each}`)).join(',');
  };
  const databaseUrl = local.stores.postgres.url;
  const http: Fleet['http'] = (path, { replica = 1, ...init } = {}) => {
    const headers = new Headers(init.headers);
    headers.set('authorization', `Bearer ${adminToken(layout.controlRoot)}`);
    return fetch(`http://${outside.address(`http-${replica}`)}${path}`, { ...init, headers });
  };
  const admin: Fleet['admin'] = async (user) => {
    const tls = await authority.user(user, databaseUrl);
    await makeAdmin(`user/${user}`);
    return tls;
  };
  const makeAdmin = async (subject: string) => {
    const body = JSON.stringify({ subject, namespace: '*', role: 'admin' });
    const headers = { 'content-type': 'application/json' };
    const { status } = await http('/v1/bindings', { method: 'POST', headers, body });
    if (status !== 200) throw new Error(`${subject} was not made admin: ${status}`);
  };
  return {
    root,
    state,
    nodes,
    node(id) {
      const found = nodes.find((node) => node.id === id);
      if (!found) throw new RangeError(`no node ${id}`);
      return found;
    },
    controlPlane: local.controlPlane,
    stores: new FleetStores(local),
    databaseUrl,
    registryHost: local.registry.host,
    async push(repository, tag, image) {
      await pushImage(outside.address('registry'), repository, tag, image);
      return `${local.registry.host}/${repository}:${tag}`;
    },
    registryRequests: () => local.registry.requests(),
    forgetRegistryRequests: () => local.registry.forgetRequests(),
    async gateway(user, replica) {
      return new Channel(doors('gateway', replica), await admin(user), { expect: 'service/gateway' });
    },
    admin,
    runtime: () => new Channel(doors('runtime'), authority.service('gateway'), { expect: 'service/runtime' }),
    http,
    local,
    reports,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function clockEnvironment(offsetMs: number | undefined): NodeJS.ProcessEnv {
  if (offsetMs === undefined || offsetMs === 0) return {};
  return { NODE_OPTIONS: `--import=${CLOCK_OFFSET}`, LONGSHORE_TEST_CLOCK_OFFSET_MS: String(offsetMs) };
}

function adminToken(controlRoot: string): string {
  const path = join(controlRoot, 'gateway.token');
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
}
