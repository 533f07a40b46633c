import type { ProcessExit } from '../tasks/task-report.ts';
import { type LoggedOutput, readLog } from './log-reader.ts';
import type { AttachedTask } from './remote-processes.ts';

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
  const streams = new Set(['stdout', 'stderr'] as const);
  const follow = { streams, from, follow: true, isOver: () => output.isOver };
  yield* readLog({ directory: log.directory, writer: log }, follow, signal);
  yield await exit;
}
