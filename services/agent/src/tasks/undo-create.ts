import { timestampNow } from '@bufbuild/protobuf/wkt';
import { messageOf } from '@longshore/errors';
import type { Bundle } from './bundle.ts';
import { cleanUpStep } from './clean-up-step.ts';
import { dialTask } from './dial-task.ts';
import { endLeftOvers } from './left-overs.ts';
import { assumedExit, endShimOf, removeSocketOf } from './remove-task.ts';
import { deleteByBinary } from './shim-process.ts';
import type { Task } from './task.ts';
import type { TaskContext } from './task-context.ts';
import type { ProcessRecord } from './task-journal.ts';
import type { ProcessExit } from './task-report.ts';

/** How long the shim may take to undo a failed create. Source: containerd core/runtime/v2/shim.go. */
const CLEANUP_TIMEOUT_MS = 5_000;

export interface FailedCreate {
  bundle: Bundle;
  binary: string;
  record: ProcessRecord;
  task: Task | undefined;
  /** The shim has said that it did not make the container. */
  isRefused: boolean;
}

/**
 * Takes away what a failed create has left: the container if there is one, the shim, the bundle. The shim is gone before
 * anybody else acts on the container. Never rejects: what fails is logged.
 */
export async function undoCreate(
  context: TaskContext,
  { bundle, binary, record, task, isRefused }: FailedCreate,
): Promise<void> {
  const step = <T>(failure: string, run: () => T | Promise<T>) => cleanUpStep(context, bundle, failure, run);
  // A shim that hangs in what it was asked for would not hear of anything else either.
  if (task && !isRefused) {
    await step('shim cannot be killed', () => (task.sharesShim ? undefined : task.killShimTree()));
  }
  const reached = task ?? (await step('shim cannot be reached', () => dialTask(context, bundle, record)));
  const exit = await deleteByShim(reached);
  if (reached) await step('shim cannot be ended', () => reached.endShim());
  await step('shim cannot be ended', () => endShimOf(context, bundle));
  // A shim that failed after runc had made the container does not know of it, but runc still has it.
  if (!exit) await deleteUnknown(context, bundle, binary);
  await step('container cannot be ended', () => endLeftOvers(context, bundle));
  await step('socket of shim stays', () => removeSocketOf(bundle));
  await step('bundle cannot be removed', () => bundle.remove());
  await step('output is kept', () => context.stdio?.forget(record));
  await step('task stays in the journal', () => endUnmade(context, record, exit));
}

async function deleteByShim(task: Task | undefined): Promise<ProcessExit | undefined> {
  try {
    const answer = await task?.call('delete', {}, {}, CLEANUP_TIMEOUT_MS);
    if (!answer) return undefined;
    const { pid, exitStatus, exitedAt = timestampNow() } = answer;
    return { pid, exitStatus, exitedAt };
  } catch {
    // It does not know the container, or is gone.
    return undefined;
  }
}

async function deleteUnknown({ settings, log }: TaskContext, bundle: Bundle, binary: string): Promise<void> {
  const words = await deleteByBinary(settings, bundle, binary).then(() => '', messageOf);
  log.debug({ namespace: bundle.namespace, id: bundle.id, words }, 'cleaned up after failed create');
}

/** A shim may have told of the container before it was killed: whoever heard of it hears of its end. */
function endUnmade({ events, journal }: TaskContext, record: ProcessRecord, exit = assumedExit()): void {
  const current = journal.reread(record);
  if (current.created) events.foundDeleted(current, exit);
  journal.end(record.incarnation);
}
