import { setTimeout as delay } from 'node:timers/promises';
import { isKind, kindOf, LongshoreError } from '@longshore/errors';
import { Status } from '@longshore/proto/containerd/v1/types/task';
import { killUnanswering } from '../tasks/remove-task.ts';
import { ShimGoneError } from '../tasks/shim-client.ts';
import type { Task } from '../tasks/task.ts';
import type { ProcessExit } from '../tasks/task-report.ts';
import { exitOf } from './exit-of.ts';

export const SIGKILL = 9;
export const SIGTERM = 15;

/** For a shim to pass on a signal, which is a run of runc. */
const CALL_TIMEOUT_MS = 3_000;
/** For a shim to say how its task is. */
const STATE_TIMEOUT_MS = 2_000;
/** For a killed container to end: the kernel frees its memory first. */
const KILL_TIMEOUT_MS = 10_000;
/** What a timer can wait for, 25 days: for a longer time it does not wait at all. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface StopOptions {
  /** Asks the task to end; SIGKILL does not ask. */
  signal: number;
  /** How long it may take to end by itself. */
  graceMs: number;
  /** Leaves the task as it is by then. */
  abort: AbortSignal;
  /** Takes turns among many: what is run in it is short, the grace time is not. */
  inTurn?: (<T>(work: () => Promise<T>) => Promise<T>) | undefined;
}

export interface StoppedTask {
  exit: ProcessExit;
  /** It did not end by the signal. */
  killed: boolean;
}

/**
 * Ends a task: the signal, and after the grace time SIGKILL to all of its processes; a paused one is resumed for it.
 * A shim that says nothing any more is ended itself, and its container with it. It takes the grace time and at most some
 * 20 s. The stopped task stays, for its caller to delete. Throws `DeadlineExceeded` when it does not end, and the signal's reason when that
 * aborts.
 */
export async function stopTask(task: Task, options: StopOptions): Promise<StoppedTask> {
  const { signal, graceMs, abort } = options;
  abort.throwIfAborted();
  if (signal !== SIGKILL) {
    const isHeard = await sendSignal(task, signal, false, options);
    const exit = await exitWithin(task, isHeard === false ? 0 : graceMs, abort);
    if (exit) return { exit, killed: false };
  }
  const isHeard = await sendSignal(task, SIGKILL, true, options);
  const exit = isHeard === undefined ? undefined : await exitWithin(task, KILL_TIMEOUT_MS, abort);
  return { exit: exit ?? (await endWithShim(task, abort)), killed: true };
}

/**
 * Undefined when the shim does not answer, false when it refuses. What has ended already has taken the signal, as far as
 * the caller is concerned.
 */
async function sendSignal(
  task: Task,
  signal: number,
  all: boolean,
  { abort, inTurn = (work) => work() }: StopOptions,
): Promise<boolean | undefined> {
  return inTurn(async () => {
    try {
      await task.call('kill', { signal, all }, { signal: abort }, CALL_TIMEOUT_MS);
      await resumeIfPaused(task, abort);
      return true;
    } catch (error) {
      abort.throwIfAborted();
      if (kindOf(error) === 'DeadlineExceeded') return undefined;
      return error instanceof ShimGoneError || isKind(error, 'NotFound');
    }
  });
}

/** Processes of a frozen cgroup take no signal before it is thawed, on cgroup v1 not even SIGKILL. */
async function resumeIfPaused(task: Task, abort: AbortSignal): Promise<void> {
  const call = { signal: abort };
  const { status } = await task.call('state', {}, call, STATE_TIMEOUT_MS);
  if (status !== Status.PAUSED && status !== Status.PAUSING) return;
  await task.call('resume', {}, call, CALL_TIMEOUT_MS);
}

/** How the task ended; undefined when it has not after `timeoutMs`. Throws when `abort` does. */
async function exitWithin(
  task: Task,
  timeoutMs: number,
  abort: AbortSignal,
): Promise<ProcessExit | undefined> {
  abort.throwIfAborted();
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, abort]);
  const late = delay(Math.min(timeoutMs, MAX_TIMER_MS), undefined, { signal });
  late.catch(() => undefined);
  try {
    return await Promise.race([exitOf(task, { signal }), late]);
  } catch (error) {
    abort.throwIfAborted();
    throw error;
  } finally {
    over.abort();
  }
}

/** For one that SIGKILL did not end. */
async function endWithShim(task: Task, abort: AbortSignal): Promise<ProcessExit> {
  if (await answers(task, abort)) throw notEnding(task);
  const late = delay(KILL_TIMEOUT_MS, undefined, { signal: abort, ref: false });
  const exit = await Promise.race([killUnanswering(task), late]);
  if (!exit) throw notEnding(task);
  return exit;
}

async function answers(task: Task, abort: AbortSignal): Promise<boolean> {
  try {
    await task.call('state', {}, { signal: abort }, STATE_TIMEOUT_MS);
    return true;
  } catch (error) {
    abort.throwIfAborted();
    return kindOf(error) !== 'DeadlineExceeded' && !(error instanceof ShimGoneError);
  }
}

function notEnding({ id }: Task): LongshoreError {
  return new LongshoreError(
    'DeadlineExceeded',
    `task ${JSON.stringify(id)}: does not end: deadline exceeded`,
  );
}
