import { messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { Turns } from '@longshore/transfer';
import type { Task } from '../tasks/task.ts';
import type { TaskManager } from '../tasks/task-manager.ts';
import type { StopSignalOf } from './own-stop-signal.ts';
import { stopTask } from './stop-task.ts';

/** Signals that are sent at a time: each is a run of runc. */
const SIGNALS_AT_ONCE = 8;

export interface StoppedTasks {
  stopped: number;
  /** Of those stopped, how many did not end by the signal. */
  killed: number;
  /** `namespace/id: reason` of each that did not end. */
  failed: string[];
}

export interface StopAllOptions {
  graceMs: number;
  signalOf: StopSignalOf;
  abort: AbortSignal;
  log: Logger;
}

/**
 * Ends all tasks of the node at the same time, as {@link stopTask} does each. They stay, for their callers to delete. Those that
 * somebody makes meanwhile are ended too, with what is left of the grace time.
 */
export async function stopAll(
  tasks: Pick<TaskManager, 'running'>,
  { graceMs, signalOf, abort, log }: StopAllOptions,
): Promise<StoppedTasks> {
  const turns = new Turns(SIGNALS_AT_ONCE);
  const inTurn = turns.run.bind(turns);
  const result: StoppedTasks = { stopped: 0, killed: 0, failed: [] };
  const stop = async (task: Task, leftMs: number) => {
    const { namespace, id } = task;
    try {
      const signal = await signalOf(task);
      const { killed } = await stopTask(task, { signal, graceMs: leftMs, abort, inTurn });
      result.stopped += 1;
      if (killed) result.killed += 1;
    } catch (error) {
      abort.throwIfAborted();
      log.error({ namespace, id, error: messageOf(error) }, 'task cannot be stopped');
      result.failed.push(`${namespace}/${id}: ${messageOf(error)}`);
    }
  };
  const until = performance.now() + graceMs;
  const tried = new Set<Task>();
  for (;;) {
    const fresh = tasks.running().filter((task) => !tried.has(task));
    if (fresh.length === 0) return result;
    const leftMs = tried.size === 0 ? graceMs : Math.max(0, until - performance.now());
    for (const task of fresh) tried.add(task);
    await Promise.all(fresh.map((task) => stop(task, leftMs)));
  }
}
