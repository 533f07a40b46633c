import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { guard } from './guard.ts';
import { SHUTDOWN_TIMEOUT_MS, serviceUnit } from './service-unit.ts';
import { checkSocketPath } from './socket-path.ts';
import { Supervisor } from './supervisor.ts';
import { toolchain } from './toolchain.ts';

/** Stopped in reverse, so that a wave finishes what needs those before it. Started at once: each waits for others itself. */
const WAVES = [
  ['content', 'image', 'snapshot', 'runtime', 'events'],
  ['gateway', 'agent'],
] as const;

export type ServiceName = (typeof WAVES)[number][number];

export const SERVICE_NAMES: readonly ServiceName[] = WAVES.flat();

/** Nodes hold no credentials of the stores: the agent gets neither. */
const USES_DATABASE: ReadonlySet<ServiceName> = new Set([
  'content',
  'image',
  'snapshot',
  'runtime',
  'events',
  'gateway',
]);
const USES_NATS: ReadonlySet<ServiceName> = new Set(['events']);

export interface ServicesOptions {
  /** Durable state, LONGSHORE_ROOT. */
  root: string;
  /** Sockets, addresses and logs, LONGSHORE_STATE. */
  state: string;
  /** The node socket; default `<state>/longshore.sock`. */
  socket?: string;
  databaseUrl: string;
  nats: { url: string; user: string; passwordFile: string };
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
  const giveUp = () => void supervisor.close();
  options.signal?.addEventListener('abort', giveUp);
  const { env: toolEnv } = await toolchain();
  const env = { ...toolEnv, ...environmentOf(options, socket), ...options.env };
  try {
    const waves = WAVES.map((wave) => wave.filter((name) => only.includes(name)));
    const unit = (name: ServiceName) =>
      serviceUnit({
        name,
        service: name,
        env: { ...env, ...storesOf(name, options) },
        logPath: join(state, 'logs', `${name}.log`),
      });
    await Promise.all(waves.map((names) => supervisor.startWave(names.map(unit))));
  } catch (error) {
    await supervisor.close();
    throw error;
  } finally {
    // Whoever stops it later ends the tasks first, which takes the services.
    options.signal?.removeEventListener('abort', giveUp);
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
  };
}

/** What a service is told of the stores: only those that it uses. */
export function storesOf(
  name: ServiceName,
  { databaseUrl, nats }: Pick<ServicesOptions, 'databaseUrl' | 'nats'>,
): NodeJS.ProcessEnv {
  return {
    ...(USES_DATABASE.has(name) ? { DATABASE_URL: databaseUrl } : {}),
    ...(USES_NATS.has(name)
      ? { NATS_URL: nats.url, NATS_USER: nats.user, NATS_PASSWORD_FILE: nats.passwordFile }
      : {}),
  };
}

/** What a service has written to its state directory; undefined while it is not ready. */
export function announcement(
  state: string,
  name: ServiceName,
): { addresses: Record<string, string> } | undefined {
  const path = join(state, `${name}.json`);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}
