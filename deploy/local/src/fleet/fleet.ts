import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeCgroup } from '../cgroup-sweep.ts';
import { guard } from '../guard.ts';
import { listProcesses, wasStartedWith } from '../proc-table.ts';
import { type Registry, startRegistry } from '../registry.ts';
import { cgroupParentOf } from '../services.ts';
import { type Stores, startStores } from '../stores.ts';
import { Supervisor } from '../supervisor.ts';
import { endContainers, endProcesses } from '../sweep.ts';
import { type Toolchain, toolchain } from '../toolchain.ts';
import { Authority } from './authority.ts';
import { ControlPlane } from './control-plane.ts';
import { controlEndRoutes } from './delayed-link.ts';
import { FleetNode } from './fleet-node.ts';
import { createJoinToken } from './join-token.ts';
import {
  CONTROL_SERVICES,
  type FleetLayout,
  fleetLayout,
  type NodeLayout,
  PORTS,
  REGISTRY_HOST,
  replicaHost,
} from './layout.ts';
import { Namespaces } from './namespaces.ts';
import { layBridge } from './network.ts';
import { type FleetBucket, ObjectStore } from './object-store.ts';
import { Outside } from './outside.ts';
import { RelayProcess } from './relay-process.ts';

/** Marks every process of a fleet, with its state directory as the value. */
const MARKER = 'LONGSHORE_FLEET';

export interface FleetOptions {
  /** Durable state of the stores, the control plane and the nodes. */
  root: string;
  /** Sockets, logs and process ids. */
  state: string;
  nodes: number;
  /** Processes of each service of the control plane. */
  replicas: number;
  /** Makes links that hold everything back for so long, each way, and whose delay can be changed. Default: plain links. */
  delayMs?: number | undefined;
  /** With `delayMs`: whose links are such; default: all. */
  delayedNodes?: readonly string[];
  /** See {@link startStores}. */
  durable?: boolean;
  /** Further variables of every service of the control plane. */
  env?: NodeJS.ProcessEnv;
  /** Further variables of a node's agent. */
  nodeEnv?: (id: string) => NodeJS.ProcessEnv;
  /** See {@link FleetNodeOptions.diskBytes}. */
  nodeDiskBytes?: (id: string) => number | undefined;
  /** Where blobs are kept; default: in a directory. */
  bucket?: FleetBucket | undefined;
  /** Is told, in a line, of what is being done, and of each process that ended by itself. */
  report?: (line: string) => void;
  /** Ends a start that is under way, which then throws. */
  signal?: AbortSignal;
}

export interface Fleet extends AsyncDisposable {
  readonly layout: FleetLayout;
  readonly control: Namespaces;
  readonly outside: Outside;
  readonly authority: Authority;
  readonly stores: Stores;
  /** On the control plane's network, where every node reaches it. */
  readonly registry: Registry;
  readonly controlPlane: ControlPlane;
  readonly nodes: readonly FleetNode[];
  /** Ends everything, containers included. */
  close(): Promise<void>;
}

/**
 * Makes a fleet on this machine: a control plane and nodes, each as separate as on a host of its own, in namespaces of
 * the kernel; nodes join by token. Resolves when all agents are ready. When this process ends, however it does, all
 * of it ends. Throws InvalidArgument for options out of range.
 */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const { report = () => {}, signal = new AbortController().signal } = options;
  const layout = fleetLayout(options);
  const found = await toolchain();
  const tools = { ...found, env: { ...found.env, [MARKER]: layout.state } };
  await using undo = new AsyncDisposableStack();
  await sweep(layout);
  for (const dir of [layout.root, layout.state]) {
    await mkdir(dir, { recursive: true, mode: 0o711 });
    guard().protect(dir);
  }
  await mkdir(layout.controlRoot, { recursive: true, mode: 0o700 });
  undo.defer(() => sweep(layout));
  const control = undo.use(await provideControl(layout, tools));
  const outside = undo.use(await Outside.open(layout, control, tools, report));
  const store =
    options.bucket && undo.use(await ObjectStore.open(options.bucket, layout, control, tools, report));
  const authority = new Authority(layout.identityDir, layout.authorityDir, tools);
  const [stores, nodes, registry] = await all([
    startStores({
      root: layout.root,
      logDir: layout.logDir,
      durable: options.durable ?? true,
      report,
      nats: {
        port: PORTS.nats,
        inside: { enter: (words) => control.enter(words), outsidePort: portOf(outside.address('nats')) },
      },
    }).then((started) => undo.use(started)),
    createNodes(options, layout, control, tools, undo),
    startRegistry(join(layout.root, 'registry'), {
      port: PORTS.registry,
      address: REGISTRY_HOST,
      logPath: join(layout.logDir, 'registry.log'),
      env: { [MARKER]: layout.state },
      enter: (words) => control.enter(words),
    }).then((started) => undo.use(started)),
    authority.issue('service', CONTROL_SERVICES),
  ]);
  signal.throwIfAborted();
  report(`starting the control plane: ${layout.replicas.length} of each service`);
  const controlPlane = undo.use(
    await ControlPlane.start(
      { layout, inside: control, stores, authority, tools, env: { ...store?.env, ...options.env }, report },
      signal,
    ),
  );
  // After the control plane's, so that agents end before it.
  for (const node of nodes) undo.defer(() => node.close());
  signal.throwIfAborted();
  report(`joining ${nodes.map(({ id }) => id).join(', ')}`);
  await Promise.all(
    nodes.map(async (node) => {
      if (!node.hasJoined) {
        const { token, server } = await createJoinToken(outside, authority, node.id);
        await node.join(server || `${replicaHost(1)}:${PORTS.join}`, token);
      }
      await node.startAgent();
    }),
  );
  const owned = undo.move();
  const close = () => owned.disposeAsync();
  return {
    layout,
    control,
    outside,
    authority,
    stores,
    registry,
    controlPlane,
    nodes,
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function provideControl(layout: FleetLayout, tools: Toolchain): Promise<Namespaces> {
  const logPath = join(layout.logDir, 'control-namespaces.log');
  const control = await Namespaces.create(
    { name: 'the control plane', kinds: ['net', 'mount'], logPath },
    tools,
  );
  await layBridge(control, layout);
  return control;
}

async function createNodes(
  options: FleetOptions,
  layout: FleetLayout,
  control: Namespaces,
  tools: Toolchain,
  undo: AsyncDisposableStack,
): Promise<FleetNode[]> {
  const { delayMs, delayedNodes, report = () => {} } = options;
  const isDelayed = ({ id }: NodeLayout) =>
    delayMs !== undefined && (delayedNodes === undefined || delayedNodes.includes(id));
  const nodes = await all(
    layout.nodes.map(async (self) => {
      const node = await FleetNode.create({
        layout,
        self,
        control,
        tools,
        isDelayed: isDelayed(self),
        diskBytes: options.nodeDiskBytes?.(self.id),
        env: options.nodeEnv?.(self.id) ?? {},
        report,
      });
      undo.use(node);
      if (delayMs !== undefined && isDelayed(self)) await node.setDelay(delayMs);
      return node;
    }),
  );
  if (delayMs === undefined) return nodes;
  const logPath = join(layout.logDir, 'relay-control.log');
  const routes = controlEndRoutes(layout, layout.nodes.filter(isDelayed));
  const far = new RelayProcess('relay-control', control, routes, logPath, tools);
  const supervisor = undo.use(new Supervisor(report));
  await supervisor.startWave([far.unit]);
  return nodes;
}

/** Ends what is left of a fleet whose processes are gone, or which nobody looks after any more. */
async function sweep({ state, nodes }: FleetLayout): Promise<void> {
  await endProcesses(listProcesses().filter(({ pid }) => wasStartedWith(pid, `${MARKER}=${state}`)));
  await endContainers([state]);
  for (const node of nodes) await removeCgroup(cgroupParentOf(node.state));
}

/** As Promise.all, but fails only when all have settled: what was started must be known before it is undone. */
async function all<T extends readonly unknown[]>(
  work: {
    [K in keyof T]: Promise<T[K]>;
  },
): Promise<T> {
  const settled = await Promise.allSettled(work);
  const failed = settled.find((each) => each.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return settled.map((each) => (each as PromiseFulfilledResult<unknown>).value) as unknown as T;
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}
