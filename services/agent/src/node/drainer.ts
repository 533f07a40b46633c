import { setTimeout as delay } from 'node:timers/promises';
import { isKind, messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { Task } from '../tasks/task.ts';
import type { TaskManager } from '../tasks/task-manager.ts';
import type { Desired } from './desired.ts';

const [SIGKILL, SIGTERM] = [9, 15];

/** Ends the tasks of a node that is drained. Stopped tasks stay, for their callers to delete. */
export class Drainer {
  readonly #tasks: TaskManager;
  readonly #desired: Desired;
  readonly #log: Logger;
  readonly #stopped = new AbortController();
  /** Tasks that are being ended. */
  readonly #ending = new Set<Task>();

  constructor(tasks: TaskManager, desired: Desired, log: Logger) {
    this.#tasks = tasks;
    this.#desired = desired;
    this.#log = log;
    desired.onTaken(() => this.#drain());
  }

  close(): void {
    this.#stopped.abort();
  }

  /** Neither called off, nor to be gone on with by the next agent. */
  get #isDraining(): boolean {
    return this.#desired.drainGraceMs !== undefined && !this.#stopped.signal.aborted;
  }

  #drain(): void {
    const graceMs = this.#desired.drainGraceMs;
    if (graceMs === undefined || this.#stopped.signal.aborted) return;
    for (const task of this.#tasks.running()) {
      if (this.#ending.has(task)) continue;
      this.#ending.add(task);
      void this.#end(task, graceMs).finally(() => this.#ending.delete(task));
    }
  }

  /** What fails here is tried again with the next heartbeat. */
  async #end(task: Task, graceMs: number): Promise<void> {
    const { namespace, id } = task;
    this.#log.info({ namespace, id, graceMs }, 'draining: task is asked to end');
    try {
      await task.call('kill', { signal: SIGTERM });
      if ((await this.#endsWithin(task, graceMs)) || !this.#isDraining) return;
      this.#log.warn({ namespace, id, graceMs }, 'draining: task is killed');
      await task.call('kill', { signal: SIGKILL, all: true });
      await task.call('wait', {}, { signal: this.#stopped.signal });
    } catch (error) {
      // It has ended by itself.
      if (isKind(error, 'NotFound') || this.#stopped.signal.aborted) return;
      this.#log.warn({ namespace, id, error: messageOf(error) }, 'draining: task cannot be ended yet');
    }
  }

  async #endsWithin(task: Task, graceMs: number): Promise<boolean> {
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, this.#stopped.signal]);
    const late = delay(graceMs, false, { signal }).catch(() => false);
    try {
      return await Promise.race([task.call('wait', {}, { signal }).then(() => true), late]);
    } finally {
      over.abort();
    }
  }
}
