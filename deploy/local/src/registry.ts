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
  logPath?: string;
}

export interface Registry extends AsyncDisposable {
  /** `127.0.0.1:port`: how its images are named. It speaks HTTP. */
  readonly host: string;
  readonly port: number;
  readonly process: ManagedProcess;
  /** What was asked of it since it started or since the last `forgetRequests`, in order of completion. */
  requests(): readonly RegistryRequest[];
  forgetRequests(): void;
  close(): Promise<void>;
}

/** Starts a private registry (distribution's) on a loopback port, with its blobs in `dir`. */
export async function startRegistry(dir: string, options: RegistryOptions = {}): Promise<Registry> {
  const { port = 0, logPath = join(dir, 'registry.log') } = options;
  const { binaries, env } = await toolchain();
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const config = join(dir, 'config.json');
  await writeFile(config, JSON.stringify(configuration(join(dir, 'data'), port)), { mode: 0o600 });
  const requests = new RequestLog();
  const listening = Promise.withResolvers<number>();
  let messages = '';
  const server = new ManagedProcess(
    {
      name: 'registry',
      command: binaries['docker-registry'],
      args: ['serve', config],
      env: { PATH: env.PATH, HOME: '/' },
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
    host: `127.0.0.1:${actual}`,
    port: actual,
    process: server,
    requests: () => requests.all(),
    forgetRequests: () => requests.clear(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** JSON is YAML, which it reads. Uploads are not purged: that would log and wake for nothing. */
function configuration(rootDir: string, port: number): object {
  return {
    version: 0.1,
    log: { level: 'info', formatter: 'text', accesslog: { disabled: false } },
    storage: {
      delete: { enabled: true },
      filesystem: { rootdirectory: rootDir },
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: { addr: `127.0.0.1:${port}`, secret: randomBytes(24).toString('hex') },
  };
}
