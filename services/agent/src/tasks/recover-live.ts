import { timestampNow } from '@bufbuild/protobuf/wkt';
import { isKind, messageOf } from '@longshore/errors';
import type { StateResponse } from '@longshore/proto/containerd/task/v3/shim';
import { Status } from '@longshore/proto/containerd/v1/types/task';
import { assumedExit, cleanUpDeadShim } from './remove-task.ts';
import { isStorageError } from './storage-error.ts';
import type { Task } from './task.ts';
import type { TaskContext } from './task-context.ts';
import type { ProcessRecord } from './task-journal.ts';
import type { ProcessExit } from './task-report.ts';
import { untilRecorded } from './until-recorded.ts';

/** States in which a process has been started. */
const STARTED: ReadonlySet<Status> = new Set([Status.RUNNING, Status.PAUSED, Status.PAUSING, Status.STOPPED]);

export interface SettleOptions {
  /** How long the shim may take to answer; then it is ended, and its container with it. */
  timeoutMs: number;
  /** The manager is closed: task and shim stay as they are, for the next agent. */
  closing: AbortSignal;
}

/** Has a task's shim say how it is, and records what happened in the agent's absence. Never rejects. */
export async function settle(context: TaskContext, task: Task, options: SettleOptions): Promise<void> {
  const { namespace, id } = task;
  try {
    const found = await look(context, task, options.timeoutMs);
    context.log.info({ namespace, id, pid: found.state.pid }, 'task recovered');
    task.state = 'live';
    void recordFound(context, task, found);
  } catch (error) {
    if (options.closing.aborted) return;
    if (isStorageError(error)) {
      context.log.error({ namespace, id, error: messageOf(error) }, 'task is taken as it is');
      task.state = 'live';
      return;
    }
    task.state = 'leaving';
    task.markGone(await end(context, task, error));
  }
}

async function end(context: TaskContext, task: Task, error: unknown): Promise<ProcessExit> {
  const { namespace, id } = task;
  // containerd goes by the pids, which a stopped task has none of; its exit status would be lost.
  const why = isKind(error, 'NotFound') ? 'the shim never made the container' : messageOf(error);
  context.log.warn({ namespace, id, why }, 'shim cannot be used, ending it');
  try {
    if (isKind(error, 'DeadlineExceeded')) await task.killShim();
    await task.endShim();
    return await cleanUpDeadShim(context, task.bundle, task.record);
  } catch (err) {
    context.log.error({ namespace, id, err }, 'task cannot be recovered, nor removed');
    return assumedExit();
  }
}

/** What a shim says of a task and its execs. */
interface Found {
  state: StateResponse;
  execs: FoundExec[];
}

interface FoundExec {
  exec: ProcessRecord;
  /** Undefined when the shim does not know it: deleted, so that it has exited, or never heard of. */
  state: StateResponse | undefined;
}

async function look({ journal }: TaskContext, task: Task, timeoutMs: number): Promise<Found> {
  await task.call('connect', {}, {}, timeoutMs);
  const state = await task.call('state', {}, {}, timeoutMs);
  const { record } = task;
  const open = journal
    .ofTask(record.incarnation)
    .filter(({ execId, exited, ended }) => execId && !exited && !ended);
  return { state, execs: await Promise.all(open.map((exec) => lookAtExec(task, exec, timeoutMs))) };
}

async function lookAtExec(task: Task, exec: ProcessRecord, timeoutMs: number): Promise<FoundExec> {
  try {
    return { exec, state: await task.call('state', { execId: exec.execId }, {}, timeoutMs) };
  } catch (error) {
    if (!isKind(error, 'NotFound')) throw error;
    return { exec, state: undefined };
  }
}

/** The shim is well: that this cannot be written, or not yet, must not be its container's end. Never rejects. */
async function recordFound(context: TaskContext, task: Task, found: Found): Promise<void> {
  try {
    await untilRecorded(context, () => {
      // Whoever removes the task records how it ended.
      if (task.state === 'live') recordMissed(context, task, found);
    });
  } catch (err) {
    context.log.error(
      { namespace: task.namespace, id: task.id, err },
      'what a task did meanwhile is not recorded',
    );
  }
}

/** Events that nobody was there to take; execs first, since their exits come before that of the first process. */
function recordMissed({ events, journal }: TaskContext, task: Task, { state, execs }: Found): void {
  journal.update(task.record, { pid: state.pid });
  const record = journal.reread(task.record);
  events.foundCreated(record, state.pid, task.bundle.path);
  if (isStarted(record, state)) events.foundStarted(record, state.pid);
  for (const { exec, state: execState } of execs) {
    recordMissedExec({ events, journal }, task, journal.reread(exec), execState);
  }
  if (state.status === Status.STOPPED) events.foundExited(journal.reread(record), exitOf(state));
}

function recordMissedExec(
  { events, journal }: Pick<TaskContext, 'events' | 'journal'>,
  task: Task,
  exec: ProcessRecord,
  state: StateResponse | undefined,
): void {
  if (!state) {
    if (exec.started) events.foundExited(exec, assumedExit());
    journal.update(exec, { ended: true });
    return;
  }
  events.foundCreated(exec, 0, task.bundle.path);
  if (isStarted(exec, state)) events.foundStarted(exec, state.pid);
  if (state.status === Status.STOPPED) events.foundExited(exec, exitOf(state));
}

/** A process that stopped without anybody having asked for its start was killed before it. */
function isStarted({ startRequested, started }: ProcessRecord, { status }: StateResponse): boolean {
  if (status === Status.STOPPED) return startRequested || started;
  return STARTED.has(status);
}

function exitOf({ pid, exitStatus, exitedAt = timestampNow() }: StateResponse): ProcessExit {
  return { pid, exitStatus, exitedAt };
}
