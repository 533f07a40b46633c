import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const START_TIMEOUT_MS = 15_000;
const POLL_MS = 20;
const STORE = 'store';

/** A real nats-server with JetStream, found on PATH, on a port of its own and with a directory of its own. */
export class TestNatsServer {
  readonly #directory: string;
  #process: ChildProcess;
  #port: number;

  private constructor(directory: string, process: ChildProcess, port: number) {
    this.#directory = directory;
    this.#process = process;
    this.#port = port;
  }

  static async start(): Promise<TestNatsServer> {
    const directory = await mkdtemp(join(tmpdir(), 'longshore-nats-'));
    try {
      const { process, port } = await launch(directory, -1);
      return new TestNatsServer(directory, process, port);
    } catch (error) {
      await rm(directory, { recursive: true });
      throw error;
    }
  }

  get #store(): string {
    return join(this.#directory, STORE);
  }

  get url(): string {
    return `nats://127.0.0.1:${this.#port}`;
  }

  /** Ends the server as a crash does; what it acknowledged stays in its directory. */
  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
  }

  /** Starts it again, on the same port; `empty` loses everything that it had stored. */
  async restart(options: { empty?: boolean } = {}): Promise<void> {
    await this.kill();
    if (options.empty) await rm(this.#store, { recursive: true, force: true });
    const { process, port } = await launch(this.#directory, this.#port);
    this.#process = process;
    this.#port = port;
  }

  /** Keeps a copy of what is stored now; restarts the server. */
  async backUp(): Promise<void> {
    await this.kill();
    await cp(this.#store, `${this.#store}.copy`, { recursive: true });
    await this.restart();
  }

  /** Restarts the server with what the copy holds: everything stored since is lost. */
  async restore(): Promise<void> {
    await this.kill();
    await rm(this.#store, { recursive: true });
    await cp(`${this.#store}.copy`, this.#store, { recursive: true });
    await this.restart();
  }

  async close(): Promise<void> {
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

async function launch(directory: string, port: number): Promise<{ process: ChildProcess; port: number }> {
  const ports = join(directory, 'ports');
  await rm(ports, { recursive: true, force: true });
  await mkdir(ports);
  const args = [
    '-js',
    '-sd',
    join(directory, STORE),
    '-a',
    '127.0.0.1',
    '-p',
    String(port),
    '--ports_file_dir',
    ports,
  ];
  const child = spawn('nats-server', args, { stdio: 'ignore' });
  const failed = once(child, 'error').then(([error]) => Promise.reject(error));
  const listening = await Promise.race([portOf(child, ports), failed]);
  return { process: child, port: listening };
}

/** The server writes its addresses to a file once it listens. */
async function portOf(child: ChildProcess, directory: string): Promise<number> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`nats-server ended with status ${child.exitCode}`);
    const [file] = existsSync(directory) ? readdirSync(directory) : [];
    const text = file ? readFileSync(join(directory, file), 'utf8') : '';
    const port = /nats:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1];
    if (port) return Number(port);
    await delay(POLL_MS);
  }
  child.kill('SIGKILL');
  throw new Error(`nats-server did not listen within ${START_TIMEOUT_MS} ms`);
}
