import { isKind } from '@longshore/errors';
import { Status } from '@longshore/proto/containerd/v1/types/task';
import { processState } from '../tasks/process-operations.ts';
import type { Task } from '../tasks/task.ts';
import type { TaskManager } from '../tasks/task-manager.ts';
import type { FoundTask, TaskStatus } from './restart-policy.ts';

const STATUSES: ReadonlyMap<Status, TaskStatus> = new Map([
  [Status.CREATED, 'created'],
  [Status.RUNNING, 'running'],
  [Status.PAUSED, 'paused'],
  [Status.PAUSING, 'paused'],
  [Status.STOPPED, 'stopped'],
]);

/** How a container's task is. The shim is asked only when the journal does not know it to be running. */
export async function findTask(tasks: TaskManager, task: Task | undefined): Promise<FoundTask> {
  if (!task) return { status: 'absent', exitStatus: 0 };
  const { started, exited } = tasks.context.journal.reread(task.record);
  // It may be paused, which makes no difference to what is wanted.
  if (started && !exited) return { status: 'running', exitStatus: 0 };
  try {
    const { status = Status.UNKNOWN, exitStatus = 0 } = await processState(tasks.context, task, '');
    return { status: STATUSES.get(status) ?? 'unknown', exitStatus };
  } catch (error) {
    if (isKind(error, 'NotFound')) return { status: 'unknown', exitStatus: 0 };
    throw error;
  }
}
