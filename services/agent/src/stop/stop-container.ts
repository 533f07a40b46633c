import { isKind, notFound } from '@longshore/errors';
import type { Labels } from '@longshore/oci';
import { parseSignal, STOP_SIGNAL_LABEL } from '@longshore/oci';
import type { OwnLabels, Recorded } from '../restart/own-labels.ts';
import { RestartLabel } from '../restart/restart-labels.ts';
import type { RestartMonitor } from '../restart/restart-monitor.ts';
import { parsePolicy } from '../restart/restart-policy.ts';
import type { ContainerLookup, TaskCall } from '../tasks/task-context.ts';
import type { TaskManager } from '../tasks/task-manager.ts';
import { SIGTERM, type StoppedTask, stopTask } from './stop-task.ts';

export interface StopContainerOptions {
  tasks: TaskManager;
  containers: ContainerLookup;
  labels: OwnLabels;
  restarts: Pick<RestartMonitor, 'hold'>;
}

export interface StopRequest {
  id: string;
  /** Undefined: the container's own, else SIGTERM. */
  signal: number | undefined;
  graceMs: number;
  deletes: boolean;
}

/**
 * Stops a container's task for good: its restarts end too, until somebody sets its labels anew. Throws as
 * {@link stopTask} does, and NotFound without a task, when the restarts have ended all the same.
 */
export async function stopContainer(
  { tasks, containers, labels, restarts }: StopContainerOptions,
  { id, signal, graceMs, deletes }: StopRequest,
  call: TaskCall & { signal: AbortSignal },
): Promise<StoppedTask> {
  const { namespace } = call;
  return restarts.hold({ namespace, id }, call.signal, async () => {
    const record = await recordOf(containers, id, call);
    const recorded = record.labels;
    const label = async (changes: Labels) => {
      if (recorded[RestartLabel.Status] === 'running') await labels.set(namespace, id, record, changes);
    };
    await label({ [RestartLabel.ExplicitlyStopped]: 'true' });
    const task = tasks.find(namespace, id);
    const stopSignal = signal ?? parseSignal(recorded[STOP_SIGNAL_LABEL] ?? '') ?? SIGTERM;
    const stopped = task && (await stopTask(task, { signal: stopSignal, graceMs, abort: call.signal }));
    // While the task ends, this would have the monitor kill it.
    if (!minds(recorded)) await label({ [RestartLabel.Status]: 'stopped' });
    if (deletes && stopped) await deleteTask(tasks, id, call);
    return stopped ?? (await withoutTask(tasks, id, call));
  });
}

/** Says in the same words as all of tasks.v1 what there is not. */
async function withoutTask(tasks: TaskManager, id: string, call: TaskCall): Promise<never> {
  await tasks.get(call, id);
  throw notFound(`task ${id}`);
}

/** Whether the policy goes by the mark that a container was stopped by hand. */
function minds(labels: Labels): boolean {
  return ['unless-stopped', 'no'].includes(parsePolicy(labels[RestartLabel.Policy] ?? '')?.name ?? 'no');
}

/** A task may outlive its container, and be stopped while nobody knows of one. */
async function recordOf(containers: ContainerLookup, id: string, call: TaskCall): Promise<Recorded> {
  try {
    return await containers.get(id, call);
  } catch (error) {
    if (isKind(error, 'NotFound', 'Unavailable', 'DeadlineExceeded')) return { labels: {} };
    throw error;
  }
}

async function deleteTask(tasks: TaskManager, id: string, call: TaskCall): Promise<void> {
  try {
    await tasks.delete(call, id);
  } catch (error) {
    // Its shim was lost, or somebody else has deleted it.
    if (!isKind(error, 'NotFound')) throw error;
  }
}
