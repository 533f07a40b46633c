import { isKind, messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { Turns } from '@longshore/transfer';
import type { StopSignalOf } from '../stop/own-stop-signal.ts';
import { stopTask } from '../stop/stop-task.ts';
import type { Task } from '../tasks/task.ts';
import type { TaskManager } from '../tasks/task-manager.ts';
import type { Desired } from './desired.ts';

/** Signals that are sent at a time: each is a run of runc. */
const SIGNALS_AT_ONCE = 8;

/** Ends the tasks of a node that is drained. Stopped tasks stay, for their callers to delete. */
export class Drainer {
  readonly #tasks: TaskManager;
  readonly #desired: Desired;
  readonly #signalOf: StopSignalOf;
  readonly #log: Logger;
  readonly #turns = new Turns(SIGNALS_AT_ONCE);
  /** Tasks that are being ended. */
  readonly #ending = new Set<Task>();
  /** Of the drain under way. */
  #over: AbortController | undefined;
  #isClosed = false;

  constructor(tasks: TaskManager, desired: Desired, signalOf: StopSignalOf, log: Logger) {
    this.#tasks = tasks;
    this.#desired = desired;
    this.#signalOf = signalOf;
    this.#log = log;
    desired.onTaken(() => this.#drain());
  }

  /** What is under way is left to the next agent. */
  close(): void {
    this.#isClosed = true;
    this.#over?.abort();
  }

  #drain(): void {
    const graceMs = this.#desired.drainGraceMs;
    if (graceMs === undefined || this.#isClosed) {
      this.#over?.abort();
      this.#over = undefined;
      return;
    }
    this.#over ??= new AbortController();
    const { signal } = this.#over;
    for (const task of this.#tasks.running()) {
      if (this.#ending.has(task)) continue;
      this.#ending.add(task);
      void this.#end(task, graceMs, signal).finally(() => this.#ending.delete(task));
    }
  }

  /** What fails here is tried again with the next heartbeat. */
  async #end(task: Task, graceMs: number, abort: AbortSignal): Promise<void> {
    const { namespace, id } = task;
    this.#log.info({ namespace, id, graceMs }, 'draining: task is asked to end');
    try {
      const inTurn = this.#turns.run.bind(this.#turns);
      const signal = await this.#signalOf(task);
      const { killed } = await stopTask(task, { signal, graceMs, abort, inTurn });
      if (killed) this.#log.warn({ namespace, id, graceMs }, 'draining: task was killed');
    } catch (error) {
      // It is gone by itself.
      if (isKind(error, 'NotFound') || abort.aborted) return;
      this.#log.warn({ namespace, id, error: messageOf(error) }, 'draining: task cannot be ended yet');
    }
  }
}
