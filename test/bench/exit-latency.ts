import { setTimeout as delay } from 'node:timers/promises';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Header } from '@longshore/proto/headers';
import { Channel, createClient } from '@longshore/rpc';
import type { Stack } from '../harness/stack.ts';
import { readStream, type StreamedEvent } from '../harness/stream-reader.ts';
import { waitUntil } from '../harness/wait-until.ts';
import { atOnce } from './at-once.ts';
import { printBar } from './bar.ts';
import { startBenchStack } from './sides.ts';

const MAX_P99_MS = 30;

/** Between two ends: each comes to a machine that does nothing. */
const PAUSE_MS = 200;
const CLIENTS = 4;

const inDefault = { headers: { [Header.Namespace]: 'default' } };

export interface ExitOptions {
  exits: number;
  idleS: number;
}

/** Prints how long after its end a process's exit event is with a subscriber of NATS. */
export async function benchExits(options: ExitOptions): Promise<void> {
  await using started = await startBenchStack();
  const sorted = (await measureExits(started.stack, started.image, options)).toSorted((a, b) => a - b);
  const percentile = (p: number) => sorted[Math.ceil((p / 100) * sorted.length) - 1]!;
  const [p50, p99] = [percentile(50), percentile(99)];
  console.log(
    `from exited_at to the event at a subscriber, ${sorted.length} exits, ${options.idleS} s idle:`,
  );
  console.log(
    `  p50 ${p50.toFixed(1)} ms, p90 ${percentile(90).toFixed(1)} ms, max ${sorted.at(-1)!.toFixed(1)} ms`,
  );
  printBar(`p99 ≤ ${MAX_P99_MS} ms`, `${p99.toFixed(1)} ms`, p99 <= MAX_P99_MS);
}

/** Milliseconds of each, in the order of their ends; the machine's one clock is at both ends. */
export async function measureExits(
  { ctr, socket, nats }: Stack,
  image: string,
  { exits, idleS }: ExitOptions,
): Promise<number[]> {
  await using stream = await readStream(nats);
  const idOf = (n: number) => `ends-${n}`;
  await atOnce(CLIENTS, exits, (n) => ctr.ok(['run', '-d', image, idOf(n), 'sleep', '1000000']));
  const pids = await pidsOf(socket);
  await delay(idleS * 1000);

  const latencies: number[] = [];
  for (let n = 0; n < exits; n++) {
    process.kill(pids.get(idOf(n))!, 'SIGKILL');
    const exit = () => stream.seen.find((event) => isExitOf(event, idOf(n)));
    if (!(await waitUntil(() => exit() !== undefined))) throw new Error(`no exit event of ${idOf(n)}`);
    const { body, receivedMs } = exit()!;
    latencies.push(receivedMs - milliseconds(String(body.data.exited_at)));
    await delay(PAUSE_MS);
  }
  await atOnce(CLIENTS, exits, async (n) => {
    await ctr.ok(['task', 'rm', idOf(n)]);
    await ctr.ok(['container', 'rm', idOf(n)]);
  });
  return latencies;
}

function isExitOf({ body }: StreamedEvent, id: string): boolean {
  return body.topic === '/tasks/exit' && body.data.container_id === id;
}

async function pidsOf(socket: string): Promise<Map<string, number>> {
  const channel = new Channel(`unix://${socket}`);
  try {
    const { tasks } = await createClient(Tasks, channel).list({}, inDefault);
    return new Map(tasks.map(({ id, pid }) => [id, pid]));
  } finally {
    channel.close();
  }
}

/** Of RFC 3339, with its nanoseconds, which `Date` cuts off. */
function milliseconds(timestamp: string): number {
  const fraction = /\.(\d+)/.exec(timestamp)?.[1] ?? '0';
  return Date.parse(timestamp.replace(/\.\d+/, '')) + Number(`0.${fraction}`) * 1000;
}
