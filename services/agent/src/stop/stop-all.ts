import { messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { Turns } from '@longshore/transfer';
import type { Task } from '../tasks/task.ts';
import type { TaskManager } from '../tasks/task-manager.ts';
import { SIGTERM, stopTask } from './stop-task.ts';

/** Signals that are sent at a time: each is a run of runc. */
const SIGNALS_AT_ONCE = 8;

export interface StoppedTasks {
  stopped: number;
  /** Of those stopped, how many did not end by the signal. */
  killed: number;
  /** `namespace/id: reason` of each that did not end. */
  failed: string[];
}

/** Ends all tasks of the node at the same time, as {@link stopTask} does each. They stay, for their callers to delete. */
export async function stopAll(
  tasks: TaskManager,
  options: {
    graceMs: number;
    signalOf(task: Task): Promise<number | undefined>;
    abort: AbortSignal;
    log: Logger;
  },
): Promise<StoppedTasks> {
  const { graceMs, signalOf, abort, log } = options;
  const turns = new Turns(SIGNALS_AT_ONCE);
  const inTurn = turns.run.bind(turns);
  const result: StoppedTasks = { stopped: 0, killed: 0, failed: [] };
  await Promise.all(
    tasks.running().map(async (task) => {
      const { namespace, id } = task;
      try {
        const signal = (await signalOf(task)) ?? SIGTERM;
        const { killed } = await stopTask(task, { signal, graceMs, abort, inTurn });
        result.stopped += 1;
        if (killed) result.killed += 1;
      } catch (error) {
        abort.throwIfAborted();
        log.error({ namespace, id, error: messageOf(error) }, 'task cannot be stopped');
        result.failed.push(`${namespace}/${id}: ${messageOf(error)}`);
      }
    }),
  );
  return result;
}
