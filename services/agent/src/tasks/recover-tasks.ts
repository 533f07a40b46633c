import { randomUUID } from 'node:crypto';
import { renameSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Bundle, bundlesDirectory, workDirectories } from './bundle.ts';
import { dialTask } from './dial-task.ts';
import { listBundles, namesIn } from './list-bundles.ts';
import { settle } from './recover-live.ts';
import { assumedExit, cleanUpDeadShim } from './remove-task.ts';
import { isShortage } from './shortage.ts';
import type { Task } from './task.ts';
import type { TaskContext } from './task-context.ts';
import type { ProcessRecord } from './task-journal.ts';

/** Connections that are begun at once: each has a descriptor or three. */
const DIALS_AT_ONCE = 64;

export interface RecoveryTimes {
  /** How long all shims together are waited for. */
  loadMs: number;
  /** How long a shim may take to answer before it is ended, and its container with it. */
  unansweringMs: number;
}

export interface RecoverOptions extends RecoveryTimes {
  /** The manager is closed: what is left is for the next agent. */
  closing: AbortSignal;
}

/** A bundle that nobody serves. */
export interface DeadTask {
  bundle: Bundle;
  /** Undefined when its making was cut short before a shim was started. */
  record: ProcessRecord | undefined;
}

export interface RecoveredTasks {
  /** With a shim; those that have not answered in time are `unanswering`, and settle later. */
  tasks: Task[];
  /** To be given to {@link cleanUpDeadTask}. */
  dead: DeadTask[];
  /** Directories, named so that they are known as garbage, to be deleted. */
  garbage: string[];
}

/**
 * Finds the tasks that an earlier agent left behind: connects to their shims and records what happened meanwhile. Removes
 * nothing; what is to be removed is answered. Fails when it cannot tell who lives, for want of descriptors, say: a task is
 * taken for dead only when its shim is.
 */
export async function recoverTasks(context: TaskContext, options: RecoverOptions): Promise<RecoveredTasks> {
  const bundles = listBundles(context.directories);
  const garbage = garbageOf(context, bundles);
  const found = await lookInto(context, bundles);
  reportVanished(context, bundles, found);
  const tasks = found.flatMap(({ task }) => task ?? []);
  for (const task of tasks) {
    task.state = 'unanswering';
    const { unansweringMs: timeoutMs, closing } = options;
    task.settled = settle(context, task, { timeoutMs, closing });
  }
  await allWithin(
    tasks.map(({ settled }) => settled),
    options.loadMs,
  );
  return { tasks, dead: found.filter(({ task }) => !task), garbage };
}

/** Cleans up after a shim that is gone, or was never started. What fails is logged, and stays for the next agent. */
export async function cleanUpDeadTask(context: TaskContext, { bundle, record }: DeadTask): Promise<void> {
  const { namespace, id } = bundle;
  try {
    if (record) await cleanUpDeadShim(context, bundle, record);
    else await bundle.remove();
  } catch (err) {
    context.log.error({ namespace, id, err }, 'bundle cannot be cleaned up');
  }
}

export async function removeGarbage({ log }: TaskContext, garbage: readonly string[]): Promise<void> {
  for (const path of garbage) {
    await rm(path, { recursive: true, force: true }).catch((err) => log.warn({ path, err }, 'garbage stays'));
  }
}

interface Found extends DeadTask {
  task: Task | undefined;
}

async function lookInto(context: TaskContext, bundles: readonly Bundle[]): Promise<Found[]> {
  const found: Found[] = [];
  const waiting = bundles.values();
  const look = async () => {
    for (const bundle of waiting) found.push(...(await lookIntoOne(context, bundle)));
  };
  await Promise.all(Array.from({ length: DIALS_AT_ONCE }, look));
  return found;
}

async function lookIntoOne(context: TaskContext, bundle: Bundle): Promise<Found[]> {
  const { namespace, id } = bundle;
  try {
    const record = recordOf(context, bundle);
    const task = record && (await dialTask(context, bundle, record));
    return [{ bundle, record, task }];
  } catch (err) {
    if (isShortage(err)) throw err;
    context.log.error({ namespace, id, err }, 'task cannot be recovered');
    return [];
  }
}

/** Undefined for a bundle whose making was cut short before a shim was started. */
function recordOf({ journal }: TaskContext, bundle: Bundle): ProcessRecord | undefined {
  const { namespace, id: containerId, incarnation } = bundle;
  if (!incarnation) return undefined;
  const known = journal.first(incarnation);
  return known ?? journal.begin({ namespace, containerId, execId: '', incarnation, execIncarnation: '' });
}

/** Tasks whose bundles are gone: the machine was started anew, which ended them. Of a bundle that cannot be read nobody knows. */
function reportVanished(
  { events, journal }: TaskContext,
  bundles: readonly Bundle[],
  found: readonly Found[],
): void {
  const there = new Set(found.map(({ record }) => record?.incarnation));
  const known = new Set(found.map(({ bundle }) => bundle));
  const unknown = new Set(bundles.filter((bundle) => !known.has(bundle)).map(nameOf));
  for (const record of journal.liveTasks()) {
    if (there.has(record.incarnation) || unknown.has(`${record.namespace}/${record.containerId}`)) continue;
    if (record.created) events.foundDeleted(record, assumedExit());
    journal.end(record.incarnation);
  }
}

function nameOf({ namespace, id }: Bundle): string {
  return `${namespace}/${id}`;
}

/**
 * Directories of tasks that are no more, and those with a dot, whose removal was cut short. The former get such a name now,
 * before a new task can have theirs.
 */
function garbageOf({ directories }: TaskContext, bundles: readonly Bundle[]): string[] {
  const wanted = new Set(bundles.map(({ workPath }) => workPath));
  const isHidden = (path: string) => /\/\.[^/]+$/.test(path);
  const work = entriesOf(workDirectories(directories)).filter((path) => !wanted.has(path));
  const hidden = work.map((path) => (isHidden(path) ? path : hide(path)));
  return [...hidden, ...entriesOf(bundlesDirectory(directories)).filter(isHidden)];
}

function hide(path: string): string {
  const hidden = join(path, '..', `.${randomUUID()}`);
  renameSync(path, hidden);
  return hidden;
}

/** `<root>/<namespace>/<entry>` of all namespaces. */
function entriesOf(root: string): string[] {
  return namesIn(root).flatMap((namespace) =>
    namesIn(join(root, namespace)).map((name) => join(root, namespace, name)),
  );
}

async function allWithin(all: readonly Promise<void>[], timeoutMs: number): Promise<void> {
  const timer = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: timer.signal }).catch(() => undefined);
  await Promise.race([Promise.all(all), late]);
  timer.abort();
}
