import { timestampNow } from '@bufbuild/protobuf/wkt';
import { isKind, messageOf, notFound } from '@longshore/errors';
import { unlessAborted } from '../unless-aborted.ts';
import type { Bundle } from './bundle.ts';
import { cleanUpStep } from './clean-up-step.ts';
import { endLeftOvers } from './left-overs.ts';
import { listBundles, sharesShim } from './list-bundles.ts';
import { recordExit } from './record-exit.ts';
import { removeDeadSocket, ShimGoneError } from './shim-client.ts';
import { deleteByBinary } from './shim-process.ts';
import { endShimProcesses } from './shim-processes.ts';
import { rethrow } from './step-error.ts';
import type { Task } from './task.ts';
import type { TaskCall, TaskContext } from './task-context.ts';
import type { ProcessRecord } from './task-journal.ts';
import type { ProcessExit } from './task-report.ts';
import { untilRecorded } from './until-recorded.ts';

/** The shim's own delete event follows its answer within a millisecond; after this, the answer has to do. */
const DELETE_EVENT_TIMEOUT_MS = 1_000;

/** How a container is said to have ended when not even its clean-up worked. Source: containerd core/runtime/v2/shim.go. */
const UNKNOWN_EXIT_STATUS = 255;

/**
 * Removes a stopped task on request. Fails with the shim's words when it refuses; then the task stays. Of two at once, the
 * shim may answer first the one that comes too late, so they take turns.
 */
export async function deleteTask(context: TaskContext, task: Task, call: TaskCall): Promise<ProcessExit> {
  while (task.deleting) await unlessAborted(task.deleting, call.signal);
  if (task.state === 'gone') throw notFound(`task ${task.id}`);
  const deletion = deleteInTurn(context, task, call);
  task.deleting = deletion.then(
    () => undefined,
    () => undefined,
  );
  try {
    return await deletion;
  } finally {
    task.deleting = undefined;
  }
}

async function deleteInTurn(context: TaskContext, task: Task, call: TaskCall): Promise<ProcessExit> {
  const { events, journal } = context;
  const step = rethrow('failed to delete task');
  await task.settled;
  for (const record of processesOf(context, task)) await recordExit(context, task, record, call);
  let exit: ProcessExit | undefined;
  let unknownToShim: unknown;
  try {
    const { pid, exitStatus, exitedAt = timestampNow() } = await task.call('delete', {}, call);
    exit = { pid, exitStatus, exitedAt };
  } catch (error) {
    // Whoever sees the connection end cleans up, and knows how the container ended.
    if (error instanceof ShimGoneError) return task.gone;
    if (!isKind(error, 'NotFound')) return step(error);
    unknownToShim = error;
  }
  if (task.state !== 'live') {
    await task.gone;
    throw notFound(`task ${task.id}`);
  }
  task.state = 'leaving';
  try {
    if (!exit || !(await events.deleteRecorded(task.record.incarnation, DELETE_EVENT_TIMEOUT_MS))) {
      await untilRecorded(context, () => {
        const record = journal.reread(task.record);
        events.foundCreated(record, record.pid, task.bundle.path);
        events.foundDeleted(record, exit ?? assumedExit());
      });
    }
    await cleanUpStep(context, task.bundle, 'shim cannot be ended', () => task.endShim());
    await removeBundle(context, task.bundle);
    await endRecord(context, task.bundle, task.record);
  } finally {
    task.markGone(exit ?? assumedExit());
  }
  return exit ?? step(unknownToShim);
}

/** The first one last, as its exit is the last. */
function processesOf({ journal }: TaskContext, { record }: Task): ProcessRecord[] {
  const [first, ...execs] = journal.ofTask(record.incarnation);
  return first ? [...execs, first] : [];
}

/**
 * Ends a task whose shim does not answer: kills the shim, with all that it holds, and cleans up after it. Resolves when
 * nothing of the task is left, with how it ended.
 */
export async function killUnanswering(task: Task): Promise<ProcessExit> {
  await task.killShim();
  // Whoever sees the connection end cleans up.
  await task.disconnect();
  return await task.gone;
}

/** Removes a task whose shim went away by itself. */
export async function removeAfterShimDeath(context: TaskContext, task: Task): Promise<void> {
  const { bundle, record } = task;
  task.state = 'leaving';
  let exit = assumedExit();
  try {
    await task.disconnect();
    exit = await cleanUpDeadShim(context, bundle, record, { wasMade: true });
  } finally {
    task.markGone(exit);
  }
}

/**
 * Cleans up after a shim that is gone, and reports the end of its container: as the shim reported it before, or as
 * killed. A task that was never made known is not reported as gone, unless it is known that it `wasMade`. Whatever else fails is
 * logged; what cannot be recorded before the manager closes is an error, and the bundle stays for the next agent.
 * Source: containerd core/runtime/v2/shim.go cleanupAfterDeadShim.
 */
export async function cleanUpDeadShim(
  context: TaskContext,
  bundle: Bundle,
  record: ProcessRecord,
  { wasMade = false } = {},
): Promise<ProcessExit> {
  const { events, journal, log } = context;
  const { namespace, id } = bundle;
  log.warn({ namespace, id }, 'shim is gone, cleaning up');
  const initPid = (await cleanUpStep(context, bundle, 'pid cannot be read', () => bundle.initPid)) ?? 0;
  await cleanUpStep(context, bundle, 'shim cannot be ended', () => endShimOf(context, bundle));
  const exit = await deleteDeadShim(context, bundle);
  await cleanUpStep(context, bundle, 'container cannot be ended', () => endLeftOvers(context, bundle));
  await cleanUpStep(context, bundle, 'socket of shim stays', () => removeSocketOf(bundle));
  await untilRecorded(context, () => {
    const current = journal.reread(record);
    if (wasMade) events.foundCreated(current, current.pid, bundle.path);
    if (current.created) events.foundDeleted(current, { ...exit, pid: exit.pid || initPid });
  });
  await removeBundle(context, bundle);
  await endRecord(context, bundle, record);
  return exit;
}

/** Of a shim that was killed. */
export async function removeSocketOf({ bootstrap }: Bundle): Promise<void> {
  if (bootstrap) await removeDeadSocket(bootstrap);
}

/**
 * A shim that nobody can talk to, and a `start` that an agent did not live to see the end of, must not go on with what is
 * being removed. One that may hold other containers stays.
 */
export async function endShimOf({ directories, log }: TaskContext, bundle: Bundle): Promise<void> {
  const { namespace, id } = bundle;
  const isOther = (one: Bundle) => one.namespace === namespace && one.path !== bundle.path && one.isGrouped;
  if (bundle.isGrouped && listBundles(directories).some(isOther)) return;
  if (sharesShim(directories, bundle)) return;
  if (!(await endShimProcesses(bundle))) log.error({ namespace, id }, 'shim cannot be ended');
}

async function deleteDeadShim(context: TaskContext, bundle: Bundle): Promise<ProcessExit> {
  const { settings, log } = context;
  try {
    const response = await deleteByBinary(settings, bundle, bundle.shimBinary ?? '');
    const { pid, exitStatus, exitedAt = timestampNow() } = response;
    return { pid, exitStatus, exitedAt };
  } catch (error) {
    const { namespace, id } = bundle;
    log.warn({ namespace, id, error: messageOf(error) }, 'clean-up by the shim binary failed');
    return assumedExit();
  }
}

/** A bundle that stays is cleaned up when the agent starts again. */
async function removeBundle({ log }: TaskContext, bundle: Bundle): Promise<void> {
  const { namespace, id } = bundle;
  await bundle.remove().catch((err) => log.error({ namespace, id, err }, 'bundle cannot be removed'));
}

/** One that stays is found by the next agent, which ends it. */
async function endRecord(
  context: TaskContext,
  bundle: Bundle,
  { incarnation }: ProcessRecord,
): Promise<void> {
  await cleanUpStep(context, bundle, 'task stays in the journal', () => context.journal.end(incarnation));
}

export function assumedExit(): ProcessExit {
  return { pid: 0, exitStatus: UNKNOWN_EXIT_STATUS, exitedAt: timestampNow() };
}
