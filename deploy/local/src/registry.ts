import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type EndingStep, ManagedProcess } from './managed-process.ts';
import { type RegistryRequest, RequestLog } from './registry-requests.ts';
import { toolchain } from './toolchain.ts';

const READY_TIMEOUT_MS = 30_000;
const MAX_MESSAGE_CHARS = 4096;
const ENDING: readonly EndingStep[] = [{ signal: 'SIGTERM', timeoutMs: 1000 }];

export interface RegistryOptions {
  /** 0, the default, takes a free one. */
  port?: number;
  /** The address that it listens on; default 127.0.0.1. */
  address?: string;
  logPath?: string;
  /** Lines of an htpasswd file (bcrypt): who may read and write; everyone without it. */
  htpasswd?: string;
  /** Makes the command that runs it in a network namespace. */
  enter?: (words: string[]) => string[];
  /** Further variables, e.g. to know it by. */
  env?: NodeJS.ProcessEnv;
}

export interface Registry extends AsyncDisposable {
  /** `address:port`: how its images are named. It speaks HTTP. */
  readonly host: string;
  readonly port: number;
  readonly process: ManagedProcess;
  /** What was asked of it since it started or since the last `forgetRequests`, in order of completion. */
  requests(): readonly RegistryRequest[];
  forgetRequests(): void;
  close(): Promise<void>;
}

/** Starts a private registry (distribution's), on a loopback port unless told otherwise, with its blobs in `dir`. */
export async function startRegistry(dir: string, options: RegistryOptions = {}): Promise<Registry> {
  const { port = 0, address = '127.0.0.1', logPath = join(dir, 'registry.log'), enter } = options;
  const { binaries, env } = await toolchain();
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const config = join(dir, 'config.json');
  const auth = await authConfiguration(dir, options.htpasswd);
  const document = { ...configuration(join(dir, 'data'), `${address}:${port}`), ...auth };
  await writeFile(config, JSON.stringify(document), { mode: 0o600 });
  const requests = new RequestLog();
  const listening = Promise.withResolvers<number>();
  let messages = '';
  const words = [binaries['docker-registry'], 'serve', config];
  const [command = '', ...args] = enter?.(words) ?? words;
  const server = new ManagedProcess(
    {
      name: 'registry',
      command,
      args,
      env: { PATH: env.PATH, HOME: '/', ...options.env },
      logPath,
      // Its access log is on stdout, its other messages on stderr.
      onOutput: (chunk, source) => {
        if (source === 'stdout') return requests.write(chunk);
        messages = (messages + chunk).slice(-MAX_MESSAGE_CHARS);
        const match = /listening on [^"]*:(\d+)"/.exec(messages);
        if (match) listening.resolve(Number(match[1]));
      },
    },
    ENDING,
  );
  const close = () => server.close();
  try {
    await server.whenReady(() => listening.promise, READY_TIMEOUT_MS);
  } catch (error) {
    await close();
    throw error;
  }
  const actual = await listening.promise;
  return {
    host: `${address}:${actual}`,
    port: actual,
    process: server,
    requests: () => requests.all(),
    forgetRequests: () => requests.clear(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** JSON is YAML, which it reads. Uploads are not purged: that would log and wake for nothing. */
function configuration(rootDir: string, listen: string): object {
  return {
    version: 0.1,
    log: { level: 'info', formatter: 'text', accesslog: { disabled: false } },
    storage: {
      delete: { enabled: true },
      filesystem: { rootdirectory: rootDir },
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: { addr: listen, secret: randomBytes(24).toString('hex') },
  };
}

async function authConfiguration(dir: string, htpasswd: string | undefined): Promise<object> {
  if (htpasswd === undefined) return {};
  const path = join(dir, 'htpasswd');
  await writeFile(path, htpasswd, { mode: 0o600 });
  return { auth: { htpasswd: { realm: 'longshore', path } } };
}
