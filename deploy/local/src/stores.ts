import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Nats, type NatsOptions, startNats } from './nats.ts';
import { type Postgres, startPostgres } from './postgres.ts';
import { Supervisor, type Unit } from './supervisor.ts';

export interface StoresOptions {
  /** Durable state; the stores live in `postgres/` and `nats/` below it. */
  root: string;
  logDir: string;
  /** See {@link startPostgres}. Default true. */
  durable?: boolean;
  report?: (line: string) => void;
  nats?: Pick<NatsOptions, 'port' | 'inside'>;
}

export type StoreName = 'postgres' | 'nats';

export interface Stores extends AsyncDisposable {
  /** As first started; a restart keeps what is said here but for the processes. */
  readonly postgres: Postgres;
  readonly nats: Nats;
  /** Resolves when the server is gone; it is started again after half a second. Sessions are cut, data stays. */
  kill(name: StoreName): Promise<void>;
  /** Stops one in order, until `start`. */
  stop(name: StoreName): Promise<void>;
  start(name: StoreName): Promise<void>;
  /** Resolves when it is ready, now or after its next start. */
  whenReady(name: StoreName): Promise<void>;
  close(): Promise<void>;
}

/** Starts a private Postgres and a private NATS, side by side, and starts either again when it ends by itself. */
export async function startStores(options: StoresOptions): Promise<Stores> {
  const { root, logDir, durable = true, report = () => {} } = options;
  // Postgres' own user must be able to pass through.
  await mkdir(root, { recursive: true, mode: 0o711 });
  const supervisor = new Supervisor(report);
  let postgres: Postgres | undefined;
  let nats: Nats | undefined;
  const units: Unit[] = [
    {
      name: 'postgres',
      start: async () => {
        const started = await startPostgres(join(root, 'postgres'), {
          durable,
          logPath: join(logDir, 'postgres.log'),
        });
        postgres ??= started;
        return started;
      },
    },
    {
      name: 'nats',
      start: async () => {
        // Its clients know the port of the first start.
        const started = await startNats(join(root, 'nats'), {
          ...options.nats,
          ...(nats && { port: nats.port }),
          logPath: join(logDir, 'nats.log'),
        });
        nats ??= started;
        return started;
      },
    },
  ];
  const close = () => supervisor.close();
  try {
    await supervisor.startWave(units);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    postgres: postgres!,
    nats: nats!,
    kill: async (name) => {
      const process = supervisor.process(name);
      // Postgres' own way to end without order: its children end with it, which SIGKILL would not see to.
      process?.child.kill(name === 'postgres' ? 'SIGQUIT' : 'SIGKILL');
      await process?.exited;
    },
    stop: (name) => supervisor.stop(name),
    start: (name) => supervisor.start(name),
    whenReady: (name) => supervisor.whenReady(name),
    close,
    [Symbol.asyncDispose]: close,
  };
}
