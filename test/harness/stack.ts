import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  cgroupParentOf,
  guard,
  instanceAt,
  type Nats,
  type Registry,
  type Services,
  type ServicesOptions,
  startNats,
  startRegistry,
  startServices,
  sweepInstance,
} from '@longshore/local';
import { createTestDatabase } from '@longshore/postgres/testing';
import { Ctr } from './ctr.ts';
import { expectNothingLeft } from './leftovers.ts';
import { migratedDatabase } from './migrated-database.ts';

export interface StackOptions {
  /** Further variables for the services. */
  env?: NodeJS.ProcessEnv;
  only?: ServicesOptions['only'];
  /** A database of the test's own instead of a fresh one on the server of the run. */
  databaseUrl?: string;
}

/** A whole longshore on this machine: private database, NATS, registry, root, state and cgroups. */
export interface Stack extends AsyncDisposable {
  readonly root: string;
  readonly state: string;
  readonly socket: string;
  readonly cgroupParent: string;
  readonly databaseUrl: string;
  readonly nats: Nats;
  readonly registry: Registry;
  readonly services: Services;
  /** Debian's ctr against the node socket, in the namespace `default`. */
  readonly ctr: Ctr;
  /** kill -9; its port and data stay for `restartNats`. */
  killNats(): Promise<void>;
  restartNats(): Promise<void>;
  /** What the supervisor reported: services that ended by themselves. */
  readonly reports: string[];
  /** Stops everything, then fails if anything is left: see `leftovers`. */
  close(): Promise<void>;
}

export async function startStack(options: StackOptions = {}): Promise<Stack> {
  await using undo = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), 'longshore-test-'));
  const state = `/run/longshore-test-${randomBytes(4).toString('hex')}`;
  await mkdir(state, { mode: 0o711 });
  for (const directory of [root, state]) guard().removeWithUs(directory);
  undo.defer(async () => {
    await rm(root, { recursive: true, force: true });
    await rm(state, { recursive: true, force: true });
  });
  const databaseUrl = options.databaseUrl ?? (await ownDatabase(undo));
  const natsDirectory = join(root, 'nats');
  let [nats, registry] = await Promise.all([startNats(natsDirectory), startRegistry(join(root, 'registry'))]);
  undo.defer(() => nats.close());
  undo.use(registry);
  const reports: string[] = [];
  const services = await startServices({
    root,
    state,
    databaseUrl,
    nats,
    report: (line) => reports.push(line),
    // Other tests write to the same disk, and nobody cuts its power.
    env: { LONGSHORE_SYNC_LAYERS: 'false', ...options.env },
    ...(options.only && { only: options.only }),
  });
  undo.use(services);
  const cgroupParent = cgroupParentOf(state);
  const owned = undo.move();
  const ctr = new Ctr(services.socket);
  const close = async () => {
    // What the tests still run; anything beyond that which is found below is a leak.
    await ctr.removeContainers().catch((error) => reports.push(String(error)));
    await services.close();
    try {
      await expectNothingLeft({ root, state, socket: services.socket, cgroupParent });
    } finally {
      await sweepInstance(instanceAt(root, state, undefined));
      await owned.disposeAsync();
    }
  };
  return {
    root,
    state,
    socket: services.socket,
    cgroupParent,
    databaseUrl,
    nats,
    async killNats() {
      nats.process.child.kill('SIGKILL');
      await nats.process.exited;
    },
    async restartNats() {
      nats = await startNats(natsDirectory, { port: nats.port });
    },
    registry,
    services,
    ctr,
    reports,
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function ownDatabase(undo: AsyncDisposableStack): Promise<string> {
  const database = await createTestDatabase(await migratedDatabase());
  undo.defer(() => database.drop());
  return database.url;
}
