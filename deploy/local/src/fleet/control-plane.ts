import { join } from 'node:path';
import type { TlsFiles } from '@longshore/transport';
import { SHUTDOWN_TIMEOUT_MS, serviceUnit } from '../service-unit.ts';
import { storesOf } from '../services.ts';
import type { Stores } from '../stores.ts';
import { Supervisor, type Unit } from '../supervisor.ts';
import type { Toolchain } from '../toolchain.ts';
import type { Authority } from './authority.ts';
import {
  CONTROL_SERVICES,
  type ControlService,
  type FleetLayout,
  gatewayHttpPort,
  PORTS,
  replicaHost,
} from './layout.ts';
import type { Namespaces } from './namespaces.ts';

export interface ControlPlaneOptions {
  layout: FleetLayout;
  inside: Namespaces;
  stores: Stores;
  authority: Authority;
  tools: Toolchain;
  /** Further variables, for all services. */
  env: NodeJS.ProcessEnv;
  report: (line: string) => void;
}

/** Every service of the control plane, each in as many processes as there are replicas. */
export class ControlPlane implements AsyncDisposable {
  readonly #supervisor: Supervisor;

  private constructor(supervisor: Supervisor) {
    this.#supervisor = supervisor;
  }

  /** Resolves when all are ready; `stop` ends a start that is under way, which then throws. */
  static async start(options: ControlPlaneOptions, stop: AbortSignal): Promise<ControlPlane> {
    const { layout, authority } = options;
    const supervisor = new Supervisor(options.report);
    const abort = () => void supervisor.close();
    stop.addEventListener('abort', abort, { once: true });
    try {
      await supervisor.startWave(
        CONTROL_SERVICES.flatMap((service) =>
          layout.replicas.map((replica) => unitOf(service, replica, authority.service(service), options)),
        ),
      );
    } catch (error) {
      await supervisor.close();
      throw error;
    } finally {
      stop.removeEventListener('abort', abort);
    }
    return new ControlPlane(supervisor);
  }

  /** 0 while it is not running. */
  pid(service: ControlService, replica: number): number {
    return this.#supervisor.process(unitName(service, replica))?.pid ?? 0;
  }

  /** Resolves when the process is gone; it is started again after half a second. */
  async kill(service: ControlService, replica: number, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const process = this.#supervisor.process(unitName(service, replica));
    process?.child.kill(signal);
    await process?.exited;
  }

  /** Stops one in order, until `start`. */
  stop(service: ControlService, replica: number): Promise<void> {
    return this.#supervisor.stop(unitName(service, replica));
  }

  start(service: ControlService, replica: number): Promise<void> {
    return this.#supervisor.start(unitName(service, replica));
  }

  /** Resolves when it is ready, now or after its next start. */
  whenReady(service: ControlService, replica: number): Promise<void> {
    return this.#supervisor.whenReady(unitName(service, replica));
  }

  close(): Promise<void> {
    return this.#supervisor.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function unitName(service: ControlService, replica: number): string {
  return `${service}-${replica}`;
}

function unitOf(
  service: ControlService,
  replica: number,
  tls: TlsFiles,
  { layout, inside, stores, tools, env }: ControlPlaneOptions,
): Unit {
  const name = unitName(service, replica);
  const databaseUrl = stores.postgres.url;
  return serviceUnit({
    name,
    service,
    env: {
      ...tools.env,
      ...storesOf(service, { databaseUrl, nats: stores.nats }),
      ...environmentOf(service, replica, tls, layout),
      ...env,
    },
    logPath: join(layout.logDir, `${name}.log`),
    enter: (words) => inside.enter(words),
  });
}

function environmentOf(
  service: ControlService,
  replica: number,
  tls: TlsFiles,
  layout: FleetLayout,
): NodeJS.ProcessEnv {
  const host = replicaHost(replica);
  return {
    LONGSHORE_ROOT: layout.controlRoot,
    LONGSHORE_STATE: layout.replicaState(replica),
    LONGSHORE_SHUTDOWN_TIMEOUT_MS: String(SHUTDOWN_TIMEOUT_MS),
    ...tlsEnvironment(tls),
    ...addressEnvironment(layout),
    [`LONGSHORE_${service.toUpperCase()}_LISTEN`]: `${host}:${PORTS[service]}`,
    LONGSHORE_GATEWAY_HTTP_LISTEN: `127.0.0.1:${gatewayHttpPort(replica)}`,
    LONGSHORE_CONTENT_DIRECTORY: layout.blobDir,
    LONGSHORE_CONTENT_BLOBS_LISTEN: `${host}:${PORTS.blobs}`,
    LONGSHORE_CONTENT_BLOBS_URL: layout.replicas
      .map((each) => `https://${replicaHost(each)}:${PORTS.blobs}`)
      .join(','),
    LONGSHORE_CA_DIR: layout.authorityDir,
    LONGSHORE_RUNTIME_JOIN_LISTEN: `${host}:${PORTS.join}`,
    LONGSHORE_RUNTIME_NODE_ADDRESSES: CALLED_BY_NODES.map(
      (called) => `${called}=${layout.addresses(called)}`,
    ).join(';'),
  };
}

/** What agents call; the gateway calls them. */
const CALLED_BY_NODES = CONTROL_SERVICES.filter((name) => name !== 'gateway');

function tlsEnvironment({ tlsCert, tlsKey, tlsCa }: TlsFiles): NodeJS.ProcessEnv {
  return { LONGSHORE_TLS_CERT: tlsCert, LONGSHORE_TLS_KEY: tlsKey, LONGSHORE_TLS_CA: tlsCa };
}

function addressEnvironment(layout: FleetLayout): NodeJS.ProcessEnv {
  const entries = CONTROL_SERVICES.map((name) => [
    `LONGSHORE_${name.toUpperCase()}_ADDRESS`,
    layout.addresses(name),
  ]);
  return Object.fromEntries(entries);
}
