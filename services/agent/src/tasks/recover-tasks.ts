import { readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { isKind, messageOf } from '@longshore/errors';
import { isErrno } from '@longshore/linux';
import type { StateResponse } from '@longshore/proto/containerd/task/v3/shim';
import { Status } from '@longshore/proto/containerd/v1/types/task';
import { Bundle, bundlesDirectory, workDirectories } from './bundle.ts';
import { dialTask } from './dial-task.ts';
import { assumedExit, cleanUpDeadShim } from './remove-task.ts';
import type { Task } from './task.ts';
import type { TaskContext } from './task-context.ts';
import type { ProcessRecord } from './task-journal.ts';

/** For one shim to tell a state. Source: containerd core/runtime/v2/shim.go. */
const LOAD_TIMEOUT_MS = 5_000;

/** States in which a process has been started. */
const STARTED: ReadonlySet<Status> = new Set([Status.RUNNING, Status.PAUSED, Status.PAUSING, Status.STOPPED]);

/**
 * Finds the tasks that an earlier agent left behind: connects to their shims and records what happened meanwhile,
 * cleans up after shims that are gone, and removes what no task needs.
 */
export async function recoverTasks(context: TaskContext): Promise<Task[]> {
  const found = await Promise.all(listBundles(context).map((bundle) => recoverOne(context, bundle)));
  const tasks = found.filter((task) => task !== undefined);
  reportVanished(context, tasks);
  await removeGarbage(context, tasks);
  return tasks;
}

function listBundles({ directories }: TaskContext): Bundle[] {
  const root = bundlesDirectory(directories);
  return namesIn(root).flatMap((namespace) =>
    namesIn(join(root, namespace))
      .filter((id) => !id.startsWith('.'))
      .map((id) => new Bundle(directories, namespace, id)),
  );
}

async function recoverOne(context: TaskContext, bundle: Bundle): Promise<Task | undefined> {
  const { namespace, id } = bundle;
  const record = recordOf(context, bundle);
  try {
    if (!record) await bundle.remove();
    return record && (await reconnect(context, bundle, record));
  } catch (error) {
    context.log.error({ namespace, id, err: error }, 'task cannot be recovered');
    return undefined;
  }
}

/** Undefined for a bundle whose making was cut short before a shim was started. */
function recordOf({ journal }: TaskContext, bundle: Bundle): ProcessRecord | undefined {
  const { namespace, id: containerId, incarnation } = bundle;
  if (!incarnation) return undefined;
  const known = journal.ofTask(incarnation).find(({ execId }) => execId === '');
  return known ?? journal.begin({ namespace, containerId, execId: '', incarnation, execIncarnation: '' });
}

async function reconnect(
  context: TaskContext,
  bundle: Bundle,
  record: ProcessRecord,
): Promise<Task | undefined> {
  const { namespace, id } = bundle;
  const task = await dialTask(context, bundle, record);
  if (!task) {
    await cleanUpDeadShim(context, bundle, record);
    return undefined;
  }
  try {
    await recordMissed(context, task);
    context.log.info({ namespace, id, pid: task.record.pid }, 'task recovered');
    return task;
  } catch (error) {
    // containerd goes by the pids, which a stopped task has none of; its exit status would be lost.
    const why = isKind(error, 'NotFound') ? 'the shim never made the container' : messageOf(error);
    context.log.warn({ namespace, id, why }, 'shim cannot be used, ending it');
    await task.endShim();
    await cleanUpDeadShim(context, bundle, record);
    return undefined;
  }
}

/** Events that nobody was there to take; execs first, since their exits come before that of the first process. */
async function recordMissed({ events, journal }: TaskContext, task: Task): Promise<void> {
  await task.call('connect', {}, {}, LOAD_TIMEOUT_MS);
  const state = await task.call('state', {}, {}, LOAD_TIMEOUT_MS);
  const record = journal.reread(task.record);
  journal.update(task.record, { pid: state.pid });
  events.foundCreated(record, state.pid, task.bundle.path);
  if (isStarted(record, state)) events.foundStarted(record, state.pid);
  await Promise.all(
    journal
      .ofTask(record.incarnation)
      .filter(({ execId, exited, ended }) => execId && !exited && !ended)
      .map((exec) => recordMissedExec({ events, journal }, task, exec)),
  );
  if (state.status === Status.STOPPED) events.foundExited(journal.reread(record), exitOf(state));
}

async function recordMissedExec(
  { events, journal }: Pick<TaskContext, 'events' | 'journal'>,
  task: Task,
  exec: ProcessRecord,
): Promise<void> {
  try {
    const state = await task.call('state', { execId: exec.execId }, {}, LOAD_TIMEOUT_MS);
    events.foundCreated(exec, 0, task.bundle.path);
    if (isStarted(exec, state)) events.foundStarted(exec, state.pid);
    if (state.status === Status.STOPPED) events.foundExited(exec, exitOf(state));
  } catch (error) {
    if (!isKind(error, 'NotFound')) throw error;
    // Deleted, so it has exited; or the shim never heard of it.
    if (exec.started) events.foundExited(exec, assumedExit());
    journal.update(exec, { ended: true });
  }
}

/** A process that stopped without anybody having asked for its start was killed before it. */
function isStarted({ startRequested, started }: ProcessRecord, { status }: StateResponse): boolean {
  if (status === Status.STOPPED) return startRequested || started;
  return STARTED.has(status);
}

function exitOf({ pid, exitStatus, exitedAt = timestampNow() }: StateResponse) {
  return { pid, exitStatus, exitedAt };
}

/** Tasks whose bundles are gone: the machine was started anew, which ended them. */
function reportVanished({ events, journal }: TaskContext, tasks: readonly Task[]): void {
  const recovered = new Set(tasks.map(({ record }) => record.incarnation));
  for (const record of journal.liveTasks()) {
    if (recovered.has(record.incarnation)) continue;
    if (record.created) events.foundDeleted(record, assumedExit());
    journal.end(record.incarnation);
  }
}

/** Directories of tasks that are no more, and those with a dot, whose removal was cut short. */
async function removeGarbage({ directories, log }: TaskContext, tasks: readonly Task[]): Promise<void> {
  const wanted = new Set(tasks.map(({ bundle }) => bundle.workPath));
  const work = entriesOf(workDirectories(directories)).filter((path) => !wanted.has(path));
  const bundles = entriesOf(bundlesDirectory(directories)).filter((path) => /\/\.[^/]+$/.test(path));
  for (const path of [...work, ...bundles]) {
    await rm(path, { recursive: true, force: true }).catch((err) => log.warn({ path, err }, 'garbage stays'));
  }
}

/** `<root>/<namespace>/<entry>` of all namespaces. */
function entriesOf(root: string): string[] {
  return namesIn(root).flatMap((namespace) =>
    namesIn(join(root, namespace)).map((name) => join(root, namespace, name)),
  );
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
