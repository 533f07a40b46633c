import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { failedPrecondition } from '@longshore/errors';
import { type EndingStep, ManagedProcess } from './managed-process.ts';
import { ownDirectory, postgresUser, provideCluster, type SystemUser } from './postgres-cluster.ts';
import { processInfo } from './proc-table.ts';
import { fitsSocketPath } from './socket-path.ts';
import { endProcesses } from './sweep.ts';
import { toolchain } from './toolchain.ts';
import { until } from './until.ts';

const SOCKET_NAME = '.s.PGSQL.5432';
/** Recovery after a crash may read much of the log again. */
const READY_TIMEOUT_MS = 60_000;

/** "Fast" ends sessions and writes a checkpoint, "immediate" leaves that to recovery. Source: postgres(1). */
const ENDING: readonly EndingStep[] = [
  { signal: 'SIGINT', timeoutMs: 3000 },
  { signal: 'SIGQUIT', timeoutMs: 1000 },
];

const SETTINGS = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  // Seven services with a pool each, twice over while a replica takes over from another.
  max_connections: '200',
  shared_buffers: '64MB',
};

/** For data that a crash may cost: a test that loses its machine has lost anyway. */
const VOLATILE = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };

export interface PostgresOptions {
  /** Survives power loss. Default true; false is much faster, for tests. */
  durable?: boolean;
  logPath?: string;
}

export interface Postgres extends AsyncDisposable {
  /** For `DATABASE_URL`: role and database `longshore`. Other databases can be made by the same role. */
  readonly url: string;
  readonly socketDir: string;
  readonly process: ManagedProcess;
  close(): Promise<void>;
}

/**
 * Starts a private Postgres server with its cluster in `dir`, which it makes and owns, reachable by a unix socket only.
 * Resolves when it accepts connections; a server that was left there by a killed process is ended first.
 * Throws FailedPrecondition when the system user cannot reach `dir`.
 */
export async function startPostgres(dir: string, options: PostgresOptions = {}): Promise<Postgres> {
  const { durable = true, logPath = join(dir, 'postgres.log') } = options;
  const { postgresBin, env } = await toolchain();
  const user = await postgresUser();
  await ownDirectory(dir, user);
  const data = await provideCluster(dir, user, durable);
  await endFormer(data);
  const socketDir = await provideSocketDir(dir, user);
  const settings = Object.entries({ ...SETTINGS, ...(durable ? {} : VOLATILE) });
  const server = new ManagedProcess(
    {
      name: 'postgres',
      command: join(postgresBin, 'postgres'),
      args: ['-D', data, '-k', socketDir, ...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`])],
      env: { PATH: env.PATH, LC_ALL: 'C.UTF-8', TZ: 'UTC' },
      ...user,
      logPath,
    },
    ENDING,
  );
  const close = async () => {
    await server.close();
    if (!socketDir.startsWith(dir)) await rm(socketDir, { recursive: true, force: true });
  };
  try {
    await server.whenReady(
      (signal) => until(() => signal.aborted || isReady(data, server.pid), READY_TIMEOUT_MS),
      READY_TIMEOUT_MS,
    );
  } catch (error) {
    await close();
    throw error;
  }
  const url = `postgresql:///longshore?host=${encodeURIComponent(socketDir)}&user=longshore`;
  return { url, socketDir, process: server, close, [Symbol.asyncDispose]: close };
}

/** Below `dir` if its path leaves room for that, else in a short place that follows from it. */
async function provideSocketDir(dir: string, user: SystemUser): Promise<string> {
  const near = join(dir, 'socket');
  const hash = createHash('sha256').update(resolve(dir)).digest('hex').slice(0, 12);
  const socketDir = fitsSocketPath(join(near, SOCKET_NAME)) ? near : `/run/longshore-postgres-${hash}`;
  await ownDirectory(socketDir, user);
  return socketDir;
}

/** Source: src/include/miscadmin.h: the 8th line of postmaster.pid is the server's state. */
function isReady(data: string, pid: number): boolean {
  const lines = pidFile(data);
  return lines[0] === String(pid) && lines[7]?.trim() === 'ready';
}

/** A server whose owner, and whose owner's guardian, were killed together still runs. */
async function endFormer(data: string): Promise<void> {
  const pid = Number(pidFile(data)[0] ?? 0);
  const former = pid > 1 ? processInfo(pid) : undefined;
  if (former === undefined || !former.args.join(' ').includes(data)) return;
  await endProcesses([former]);
  if (processInfo(pid) !== undefined)
    throw failedPrecondition(`Postgres cluster "${data}": in use by process ${pid}`);
}

function pidFile(data: string): string[] {
  const path = join(data, 'postmaster.pid');
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
}
