import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessExit } from '../tasks/task-report.ts';
import type { KeptOutput } from './kept-output.ts';
import { type LoggedOutput, readLog } from './log-reader.ts';
import type { AttachedTask } from './remote-processes.ts';

/** Others may have what the process has opened, and need not ever close it. */
const QUIET_MS = 2_000;

/**
 * What a task writes from now on, or has ever written, and at last how it ended. The log is what is read, so whoever is attached
 * never holds the task up. Throws what `signal` is aborted with.
 */
export async function* attached(
  { output, exit }: Pick<AttachedTask, 'output' | 'exit'>,
  withLog: boolean,
  signal: AbortSignal,
): AsyncGenerator<LoggedOutput[] | ProcessExit> {
  const { log } = output;
  const from = withLog ? undefined : log.position;
  let isOver = false;
  const over = async () => {
    if (!log.isClosed) await closed(log);
    isOver = true;
    log.wake();
  };
  exit.then(over, over);
  const streams = new Set(['stdout', 'stderr'] as const);
  const follow = { streams, from, follow: true, isOver: () => isOver };
  yield* readLog({ directory: log.directory, writer: log }, follow, signal);
  yield await exit;
}

async function closed(log: KeptOutput['log']): Promise<void> {
  const until = performance.now() + QUIET_MS;
  while (!log.isClosed && performance.now() < until) {
    const given = new AbortController();
    const late = delay(until - performance.now(), undefined, { signal: given.signal }).catch(() => undefined);
    await Promise.race([log.changed(), late]);
    given.abort();
  }
}
