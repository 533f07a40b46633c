import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EndingStep, ManagedProcess } from './managed-process.ts';
import { processInfo } from './proc-table.ts';
import { endProcesses } from './sweep.ts';
import { toolchain } from './toolchain.ts';

const USER = 'longshore';
const READY_TIMEOUT_MS = 30_000;
const POLL_MS = 20;
const ENDING: readonly EndingStep[] = [{ signal: 'SIGTERM', timeoutMs: 2000 }];

/** JetStream would otherwise allow itself three quarters of the memory and of the disk. */
const MAX_MEMORY = '128MB';
const MAX_DISK = '8GB';

export interface NatsOptions {
  /** 0, the default, takes a free one; a server that is started again keeps the one that its clients know. */
  port?: number;
  logPath?: string;
  /** Runs it in a network namespace; there, `port` must be given. */
  inside?: ServerPlace;
}

/** A network namespace that a server runs in, and how we outside reach its port there. */
export interface ServerPlace {
  enter(words: string[]): string[];
  /** On our own loopback. */
  outsidePort: number;
}

export interface Nats extends AsyncDisposable {
  /** e.g. `nats://127.0.0.1:40123`, without credentials. */
  readonly url: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** A file of mode 0600 that holds nothing but the password. */
  readonly passwordFile: string;
  readonly process: ManagedProcess;
  close(): Promise<void>;
}

/**
 * Starts a private NATS server with JetStream, its data in `dir`, on a loopback port, for one user whose random
 * password stays the same for this `dir`. Works with server 2.9. A server left there by a killed process is ended
 * first.
 */
export async function startNats(dir: string, options: NatsOptions = {}): Promise<Nats> {
  const { port = 0, logPath = join(dir, 'nats.log'), inside } = options;
  const { binaries, env } = await toolchain();
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const config = join(dir, 'nats.conf');
  await endFormer(dir, config);
  const passwordFile = join(dir, 'password');
  const password = await providePassword(passwordFile);
  await writeFile(config, configuration(dir, password, port), { mode: 0o600 });
  const words = [binaries['nats-server'], '-c', config];
  const [command = '', ...args] = inside?.enter(words) ?? words;
  const server = new ManagedProcess(
    {
      name: 'nats',
      command,
      args,
      env: { PATH: env.PATH },
      logPath,
    },
    ENDING,
  );
  const close = () => server.close();
  try {
    await server.whenReady(
      (signal) => answers(dir, server.pid, inside?.outsidePort, signal),
      READY_TIMEOUT_MS,
    );
  } catch (error) {
    await close();
    throw error;
  }
  const url = announcedUrl(dir, server.pid) ?? '';
  return {
    url,
    port: Number(new URL(url).port),
    user: USER,
    password,
    passwordFile,
    process: server,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Its syntax takes JSON's strings. Port -1 is a free one, announced in a file named after the pid. */
function configuration(dir: string, password: string, port: number): string {
  return `server_name: longshore
listen: "127.0.0.1:${port === 0 ? -1 : port}"
ports_file_dir: ${JSON.stringify(dir)}
pid_file: ${JSON.stringify(join(dir, 'nats.pid'))}
jetstream {
  store_dir: ${JSON.stringify(dir)}
  max_memory_store: ${MAX_MEMORY}
  max_file_store: ${MAX_DISK}
}
authorization {
  user: ${USER}
  password: ${JSON.stringify(password)}
}
`;
}

async function providePassword(path: string): Promise<string> {
  if (existsSync(path)) return readFileSync(path, 'utf8').trim();
  // Begins with a letter, so that it is a string to the configuration's parser whatever else it holds.
  const password = `p${randomBytes(24).toString('base64url')}`;
  await writeFile(path, `${password}\n`, { mode: 0o600 });
  return password;
}

/** Resolves once it says on its port that it has JetStream. */
async function answers(
  dir: string,
  pid: number,
  outsidePort: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const url = announcedUrl(dir, pid);
    const port = url === undefined ? undefined : (outsidePort ?? Number(new URL(url).port));
    if (port !== undefined && (await greeting(port)).includes('"jetstream":true')) return;
    await sleep(POLL_MS);
  }
}

/** The INFO line that a NATS server sends first; empty when none came. */
function greeting(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.includes('\n')) socket.destroy();
    });
    socket.once('error', () => socket.destroy());
    socket.once('close', () => resolve(text));
  });
}

function announcedUrl(dir: string, pid: number): string | undefined {
  const path = join(dir, `nats-server_${pid}.ports`);
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  // Written in place: it can be seen half-way.
  if (!text.trimEnd().endsWith('}')) return undefined;
  const { nats }: { nats?: string[] } = JSON.parse(text);
  return nats?.[0];
}

/** Ends what a killed process left running here, and forgets where it listened. */
async function endFormer(dir: string, config: string): Promise<void> {
  const pidFile = join(dir, 'nats.pid');
  const former = existsSync(pidFile) ? processInfo(Number(readFileSync(pidFile, 'utf8'))) : undefined;
  if (
    former !== undefined &&
    basename(former.args[0] ?? '') === 'nats-server' &&
    former.args.includes(config)
  ) {
    await endProcesses([former]);
  }
  const stale = (await readdir(dir)).filter((name) => name.endsWith('.ports'));
  await Promise.all(stale.map((name) => rm(join(dir, name), { force: true })));
}
