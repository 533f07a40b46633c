import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { SERVICE_NAMES } from '@longshore/local';
import pg from 'pg';
import { ownCpuSeconds, usageOf } from './scale/usage.ts';
import type { Sides } from './sides.ts';

/** By then what follows a run is done: events are in the stream, what was removed is confirmed. */
const SETTLE_MS = 2_000;

/** What each process of both sides has used of the CPU since it was begun, in seconds. */
export class TasksCpu {
  readonly #look: () => Record<string, number>;
  #before: Record<string, number>;

  private constructor(look: () => Record<string, number>) {
    this.#look = look;
    this.#before = look();
  }

  static async begin({ stack, containerdPid }: Sides): Promise<TasksCpu> {
    const postgres = await postgresPid(stack.databaseUrl);
    return new TasksCpu(() => ({
      ...Object.fromEntries(SERVICE_NAMES.map((name) => [name, ownCpuSeconds(stack.services.pid(name))])),
      postgres: usageOf(postgres).cpuSeconds,
      nats: ownCpuSeconds(stack.nats.process.pid),
      containerd: ownCpuSeconds(containerdPid),
    }));
  }

  /** Prints what one of so many runs took, and begins anew. What ctr, shims and runc take is the same on both sides. */
  async print(runs: number): Promise<void> {
    await delay(SETTLE_MS);
    const now = this.#look();
    const spentMs = Object.entries(now).map(
      ([name, seconds]) => [name, ((seconds - this.#before[name]!) * 1000) / runs] as const,
    );
    const ours = spentMs.filter(([name]) => name !== 'containerd').reduce((sum, [, ms]) => sum + ms, 0);
    console.log(
      `  CPU of a run in ms: ${spentMs.map(([name, ms]) => `${name} ${ms.toFixed(1)}`).join(', ')}`,
    );
    console.log(`  longshore altogether ${ours.toFixed(1)}`);
    this.#before = now;
  }
}

/** The parent of the process that serves a connection. Source: proc(5), field 4. */
async function postgresPid(databaseUrl: string): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const stat = readFileSync(`/proc/${rows[0]!.pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } finally {
    await client.end();
  }
}
