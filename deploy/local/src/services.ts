import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { guard } from './guard.ts';
import { ManagedProcess } from './managed-process.ts';
import { checkSocketPath } from './socket-path.ts';
import { Supervisor, type Unit } from './supervisor.ts';
import { toolchain } from './toolchain.ts';

/** Stopped in reverse, so that a wave finishes what needs those before it. Started at once: each waits for others itself. */
const WAVES = [
  ['content', 'image', 'snapshot', 'runtime', 'events'],
  ['gateway', 'agent'],
] as const;

export type ServiceName = (typeof WAVES)[number][number];

export const SERVICE_NAMES: readonly ServiceName[] = WAVES.flat();

const SERVICES_DIR = fileURLToPath(new URL('../../../services', import.meta.url));
/** A young generation of 16 MB is for programs that make much garbage at once; it costs each service some 30 MB. */
const NODE_FLAGS = ['--max-semi-space-size=4'];
const READY_TIMEOUT_MS = 60_000;
/** Calls in flight may take this long when a service is stopped; the rest of its end has a second more. */
const SHUTDOWN_TIMEOUT_MS = 1500;
const ENDING = [{ signal: 'SIGTERM', timeoutMs: SHUTDOWN_TIMEOUT_MS + 1000 }] as const;

/** Nodes hold no credentials of the stores: the agent gets neither. */
const USES_DATABASE: ReadonlySet<ServiceName> = new Set([
  'content',
  'image',
  'snapshot',
  'runtime',
  'events',
  'gateway',
]);
const USES_NATS: ReadonlySet<ServiceName> = new Set(['events', 'gateway']);

export interface ServicesOptions {
  /** Durable state, LONGSHORE_ROOT. */
  root: string;
  /** Sockets, addresses and logs, LONGSHORE_STATE. */
  state: string;
  /** The node socket; default `<state>/longshore.sock`. */
  socket?: string;
  databaseUrl: string;
  nats: { url: string; user: string; password: string };
  /** Further variables, for all services. */
  env?: NodeJS.ProcessEnv;
  /** Default: all. */
  only?: readonly ServiceName[];
  /** Is told, in a line, of each service that ended by itself and is started again. */
  report?: (line: string) => void;
  /** Ends a start that is under way, which then throws. */
  signal?: AbortSignal;
}

export interface Services extends AsyncDisposable {
  readonly socket: string;
  /** 0 while it is not running. */
  pid(name: ServiceName): number;
  /** What the service announced in `<state>/<name>.json`: addresses by name. */
  addresses(name: ServiceName): Record<string, string>;
  /** Resolves when the process is gone; it is started again after half a second. */
  kill(name: ServiceName, signal?: NodeJS.Signals): Promise<void>;
  /** Resolves when the service is ready, now or after its next start. */
  whenReady(name: ServiceName): Promise<void>;
  /** Stops one in order, until `start`. */
  stop(name: ServiceName): Promise<void>;
  start(name: ServiceName): Promise<void>;
  /** Stops all. Containers run on, as they do without their agent. */
  close(): Promise<void>;
}

/**
 * Starts the services, each as its own process, and keeps them running; resolves when all are ready.
 * When this process ends, however it does, they end, and with them the containers, mounts and cgroups below `root`
 * and `state`. Throws InvalidArgument when `state` is too long for a unix socket's path.
 */
export async function startServices(options: ServicesOptions): Promise<Services> {
  const { root, state, socket = join(state, 'longshore.sock'), only = SERVICE_NAMES } = options;
  checkStatePaths(state, socket);
  await mkdir(root, { recursive: true, mode: 0o711 });
  await mkdir(state, { recursive: true, mode: 0o700 });
  guard().protect(root);
  guard().protect(state);
  guard().protect(socket);
  guard().protectCgroup(cgroupParentOf(state));
  const supervisor = new Supervisor(options.report ?? (() => {}));
  options.signal?.addEventListener('abort', () => void supervisor.close(), { once: true });
  const { env: toolEnv } = await toolchain();
  const env = { ...toolEnv, ...environmentOf(options, socket), ...options.env };
  try {
    const waves = WAVES.map((wave) => wave.filter((name) => only.includes(name)));
    const unit = (name: ServiceName) => serviceUnit(name, state, { ...env, ...storesOf(name, options) });
    await Promise.all(waves.map((names) => supervisor.startWave(names.map(unit))));
  } catch (error) {
    await supervisor.close();
    throw error;
  }
  return {
    socket,
    pid: (name) => supervisor.process(name)?.pid ?? 0,
    addresses: (name) => announcement(state, name)?.addresses ?? {},
    kill: async (name, signal = 'SIGKILL') => {
      const process = supervisor.process(name);
      process?.child.kill(signal);
      await process?.exited;
    },
    whenReady: (name) => supervisor.whenReady(name),
    stop: (name) => supervisor.stop(name),
    start: (name) => supervisor.start(name),
    close: () => supervisor.close(),
    [Symbol.asyncDispose]: () => supervisor.close(),
  };
}

/** Each instance has its own, so that containers of the same name do not share a cgroup. As runc takes it. */
export function cgroupParentOf(state: string): string {
  return `/longshore-${createHash('sha256').update(state).digest('hex').slice(0, 12)}`;
}

/** Throws InvalidArgument unless all sockets of an instance fit into the kernel's limit. */
export function checkStatePaths(state: string, socket: string): void {
  checkSocketPath(`${socket}.ttrpc`);
  for (const name of SERVICE_NAMES) checkSocketPath(join(state, `${name}.sock`));
}

function environmentOf({ root, state }: ServicesOptions, socket: string): NodeJS.ProcessEnv {
  return {
    LONGSHORE_ROOT: root,
    LONGSHORE_STATE: state,
    LONGSHORE_SOCKET: socket,
    LONGSHORE_CGROUP_PARENT: cgroupParentOf(state),
    LONGSHORE_SHUTDOWN_TIMEOUT_MS: String(SHUTDOWN_TIMEOUT_MS),
    // Threads come and go; with an arena each, what they have freed stays with the process.
    MALLOC_ARENA_MAX: '2',
  };
}

function storesOf(name: ServiceName, { databaseUrl, nats }: ServicesOptions): NodeJS.ProcessEnv {
  return {
    ...(USES_DATABASE.has(name) ? { DATABASE_URL: databaseUrl } : {}),
    ...(USES_NATS.has(name)
      ? { NATS_URL: nats.url, NATS_USER: nats.user, NATS_PASSWORD: nats.password }
      : {}),
  };
}

function serviceUnit(name: ServiceName, state: string, env: NodeJS.ProcessEnv): Unit {
  const main = join(SERVICES_DIR, name, 'src/main.ts');
  const logPath = join(state, 'logs', `${name}.log`);
  return {
    name,
    start: async (stop) => {
      const process = new ManagedProcess(
        {
          name,
          command: 'node',
          args: [...NODE_FLAGS, main],
          env,
          logPath,
          withChannel: true,
          cwd: dirname(main),
        },
        ENDING,
      );
      const close = () => process.close();
      const saysReady = new Promise((resolve) => process.child.once('message', resolve));
      try {
        await process.whenReady(() => saysReady, READY_TIMEOUT_MS, stop);
      } catch (error) {
        await close();
        throw error;
      }
      return { process, close };
    },
  };
}

function announcement(state: string, name: ServiceName): { addresses: Record<string, string> } | undefined {
  const path = join(state, `${name}.json`);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}
