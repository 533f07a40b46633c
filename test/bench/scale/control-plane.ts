import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guard, type ServiceName, type Services, startServices, startStores } from '@longshore/local';
import { openPool } from '@longshore/postgres';

const CONTROL_PLANE: readonly ServiceName[] = [
  'content',
  'image',
  'snapshot',
  'runtime',
  'events',
  'gateway',
];

/** The services without an agent, over stores of their own that are as durable as `npm start` has them. */
export interface ControlPlane extends AsyncDisposable {
  /** Where the services' sockets are. */
  readonly state: string;
  readonly databaseUrl: string;
  /** Of the gateway. */
  readonly httpUrl: string;
  readonly tokenFile: string;
  /** Of the gRPC server of a service. */
  address(name: ServiceName): string;
  /** Of every process, by what it is. */
  pids(): Record<string, number>;
  /** Events of `runtime` that are not in the stream yet. */
  unsentEvents(): Promise<number>;
  /** A real agent, for node `id`, that is part of this fleet until it is closed. */
  startAgent(id: string): Promise<Services>;
}

/** `env`: more of the services' variables. */
export async function startControlPlane(env: Record<string, string> = {}): Promise<ControlPlane> {
  await using undo = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), 'longshore-scale-'));
  // Postgres' own user must be able to pass through.
  await chmod(root, 0o711);
  const state = `/run/longshore-scale-${randomBytes(4).toString('hex')}`;
  await mkdir(state, { mode: 0o711 });
  for (const directory of [root, state]) guard().removeWithUs(directory);
  undo.defer(async () => {
    await rm(root, { recursive: true, force: true });
    await rm(state, { recursive: true, force: true });
  });
  const stores = undo.use(await startStores({ root, logDir: join(state, 'logs') }));
  const options = {
    root,
    state,
    databaseUrl: stores.postgres.url,
    nats: stores.nats,
    env: { LONGSHORE_LOG_LEVEL: 'info', ...env },
  };
  const services = undo.use(await startServices({ ...options, only: CONTROL_PLANE }));
  const pool = undo.adopt(openPool({ url: stores.postgres.url, schema: 'runtime', size: 2 }), (opened) =>
    opened.end(),
  );
  const owned = undo.move();
  return {
    state,
    databaseUrl: stores.postgres.url,
    httpUrl: services.addresses('gateway').http ?? '',
    tokenFile: join(root, 'gateway.token'),
    address: (name) => services.addresses(name).grpc ?? '',
    async unsentEvents() {
      const { rows } = await pool.query('SELECT count(*)::int AS count FROM outbox WHERE stream_seq IS NULL');
      return rows[0].count;
    },
    pids: () => ({
      ...Object.fromEntries(CONTROL_PLANE.map((name) => [name, services.pid(name)])),
      postgres: stores.postgres.process.pid,
      nats: stores.nats.process.pid,
    }),
    startAgent: (id) =>
      startServices({ ...options, only: ['agent'], env: { ...options.env, LONGSHORE_NODE_ID: id } }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
