import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
/** Where a service says where it listens. */
const ADDRESSES = 'events.json';
const START_TIMEOUT_MS = 30_000;

/** The service as a process of its own, which can be killed as a crash would. */
export class EventsProcess implements AsyncDisposable {
  readonly #state: string;
  readonly #env: NodeJS.ProcessEnv;
  #process: ChildProcess;

  private constructor(state: string, env: NodeJS.ProcessEnv) {
    this.#state = state;
    this.#env = env;
    this.#process = this.#spawn();
  }

  /** `settings` are environment variables besides those for state and log. */
  static async start(settings: Record<string, string>): Promise<EventsProcess> {
    const state = await mkdtemp(join(tmpdir(), 'longshore-events-'));
    const { PATH, NODE_COMPILE_CACHE } = process.env;
    const env = {
      PATH,
      NODE_COMPILE_CACHE,
      LONGSHORE_STATE: state,
      LONGSHORE_LOG_LEVEL: 'fatal',
      ...settings,
    };
    const started = new EventsProcess(state, env);
    await started.#ready();
    return started;
  }

  /** The next process of the same replica, after `kill`. */
  async startAgain(): Promise<void> {
    await rm(join(this.#state, ADDRESSES), { force: true });
    this.#process = this.#spawn();
    await this.#ready();
  }

  /** A sample of `/metrics`; 0 when there is none yet. */
  async metric(name: string, schema: string): Promise<number> {
    const { metrics = '' } = await this.#addresses();
    const text = await (await fetch(metrics)).text();
    const sample = text
      .split('\n')
      .find((line) => line.startsWith(`${name}{`) && line.includes(`schema="${schema}"`));
    return Number(sample?.split(' ').at(-1) ?? 0);
  }

  /** As a machine does that swaps, or a debugger: it does nothing, and its connections stay. */
  freeze(): void {
    this.#process.kill('SIGSTOP');
  }

  thaw(): void {
    this.#process.kill('SIGCONT');
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, 'exit');
    this.#process.kill(signal);
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill('SIGKILL');
    await rm(this.#state, { recursive: true });
  }

  #spawn(): ChildProcess {
    return spawn(process.execPath, [MAIN], { env: this.#env, stdio: ['ignore', 'ignore', 'inherit'] });
  }

  async #ready(): Promise<void> {
    await expect.poll(() => this.#addresses(), { timeout: START_TIMEOUT_MS }).toHaveProperty('metrics');
  }

  async #addresses(): Promise<Record<string, string>> {
    const text = await readFile(join(this.#state, ADDRESSES), 'utf8').catch(() => '{}');
    return JSON.parse(text).addresses ?? {};
  }
}
