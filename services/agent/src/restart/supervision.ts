import { type BackoffOptions, RestartBackoff } from './restart-backoff.ts';
import type { TaskStatus } from './restart-policy.ts';
import type { ContainerName } from './supervised-containers.ts';

/**
 * What the monitor remembers of one container, in memory only. A task that ended is started again after its back-off. One that is not there, or was
 * made and not started, is somebody's who is about to go on, or was deleted by somebody who may be about to delete the container: it
 * is left alone for an interval, unless nobody can be, because this node has just come up.
 */
export class Supervision {
  readonly name: ContainerName;
  readonly #backoff: RestartBackoff;
  readonly #intervalMs: number;
  readonly #isBoot: boolean;
  #seen: { status: TaskStatus; sinceMs: number } | undefined;
  #hasStarted = false;
  #incarnation: string | undefined;

  constructor(name: ContainerName, options: BackoffOptions, isBoot: boolean) {
    this.name = name;
    this.#backoff = new RestartBackoff(options);
    this.#intervalMs = options.intervalMs;
    this.#isBoot = isBoot;
  }

  /** To be told of each look at the task. */
  saw(status: TaskStatus, nowMs: number): void {
    if (this.#seen?.status !== status) this.#seen = { status, sinceMs: nowMs };
  }

  /** A task of the container was seen; answers whether it is another than the one before. */
  sawTask(incarnation: string): boolean {
    const isNew = this.#incarnation !== incarnation;
    this.#incarnation = incarnation;
    return isNew;
  }

  get hasHadTask(): boolean {
    return this.#incarnation !== undefined;
  }

  /** Since when the task is as it was seen. */
  get sinceMs(): number {
    return this.#seen?.sinceMs ?? Number.POSITIVE_INFINITY;
  }

  /** When the task that was seen is to be started. */
  get dueMs(): number {
    if (!this.#seen) return Number.POSITIVE_INFINITY;
    const { status, sinceMs } = this.#seen;
    const backoffMs = this.#backoff.delayMs(sinceMs);
    if (status === 'stopped') return sinceMs + backoffMs;
    if (status === 'absent' && this.#isBoot && !this.#hasStarted) return sinceMs;
    return sinceMs + Math.max(backoffMs, this.#intervalMs);
  }

  /** An attempt to start it begins. The first of a task that was not there is no restart. */
  started(nowMs: number): void {
    const isFirst = !this.#hasStarted && this.#seen?.status === 'absent';
    if (!isFirst) this.#backoff.started(nowMs, this.#seen?.sinceMs ?? nowMs);
    this.#hasStarted = true;
    this.#seen = undefined;
  }
}
