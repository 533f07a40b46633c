import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const START_TIMEOUT_MS = 30_000;

/** The service as a process of its own, which can be killed as a crash would. */
export class EventsProcess implements AsyncDisposable {
  readonly #state: string;
  readonly #process: ChildProcess;

  private constructor(state: string, process: ChildProcess) {
    this.#state = state;
    this.#process = process;
  }

  /** `settings` are environment variables besides those for state and log. */
  static async start(settings: Record<string, string>): Promise<EventsProcess> {
    const state = await mkdtemp(join(tmpdir(), 'longshore-events-'));
    const env = { PATH: process.env.PATH, LONGSHORE_STATE: state, LONGSHORE_LOG_LEVEL: 'fatal', ...settings };
    const child = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'ignore', 'inherit'] });
    const started = new EventsProcess(state, child);
    await expect.poll(() => started.#addresses(), { timeout: START_TIMEOUT_MS }).toHaveProperty('metrics');
    return started;
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

  async #addresses(): Promise<Record<string, string>> {
    const text = await readFile(join(this.#state, 'events.json'), 'utf8').catch(() => '{}');
    return JSON.parse(text).addresses ?? {};
  }
}
