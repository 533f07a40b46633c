import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Nats, startNats } from './nats.ts';
import { type Postgres, startPostgres } from './postgres.ts';
import { Supervisor, type Unit } from './supervisor.ts';

export interface StoresOptions {
  /** Durable state; the stores live in `postgres/` and `nats/` below it. */
  root: string;
  logDir: string;
  /** See {@link startPostgres}. Default true. */
  durable?: boolean;
  report?: (line: string) => void;
}

export interface Stores extends AsyncDisposable {
  /** As first started; a restart keeps what is said here but for the processes. */
  readonly postgres: Postgres;
  readonly nats: Nats;
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
          port: nats?.port ?? 0,
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
  return { postgres: postgres!, nats: nats!, close, [Symbol.asyncDispose]: close };
}
