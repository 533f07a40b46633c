import { create } from '@bufbuild/protobuf';
import { isKind } from '@longshore/errors';
import type { Mount } from '@longshore/linux';
import type { Container } from '@longshore/proto/containerd/services/containers/v1/containers';
import { CreateTaskRequestSchema } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { mountToProto } from '../rpc/convert-mount.ts';
import { hasTerminal } from '../stdio/exec-process.ts';
import { SIGKILL, stopTask } from '../stop/stop-task.ts';
import { startProcess } from '../tasks/process-operations.ts';
import type { TaskCall } from '../tasks/task-context.ts';
import type { TaskManager } from '../tasks/task-manager.ts';
import type { KeptLogOf } from './kept-log.ts';
import { RestartLabel } from './restart-labels.ts';

/** How a container's root is mounted. */
export type RootfsOf = (container: Container, call: TaskCall) => Promise<readonly Mount[]>;

export interface RestartParts {
  tasks: TaskManager;
  rootfsOf: RootfsOf;
  keptLogOf: KeptLogOf;
}

/** A terminal must have its output somewhere. */
const NOWHERE = '/dev/null';

/**
 * Ends what there is of the container's task, and makes and starts a new one, as containerd's client does. Source: containerd
 * plugins/restart/change.go. Throws what the making of a task does; then none is left.
 */
export async function restartTask(
  { tasks, rootfsOf, keptLogOf }: RestartParts,
  container: Container,
  call: TaskCall & { signal: AbortSignal },
): Promise<void> {
  const output = outputOf(container, keptLogOf(call.namespace, container.id));
  await endTask(tasks, container.id, call);
  const rootfs = (await rootfsOf(container, call)).map(mountToProto);
  const request = create(CreateTaskRequestSchema, { containerId: container.id, rootfs, ...output });
  const task = await tasks.create(call, request);
  try {
    await startProcess(tasks.context, task, '', call);
  } catch (error) {
    await endTask(tasks, container.id, call).catch(() => undefined);
    throw error;
  }
}

/** Kills and deletes the container's task, if there is one. */
export async function endTask(
  tasks: TaskManager,
  id: string,
  call: TaskCall & { signal: AbortSignal },
): Promise<void> {
  const task = tasks.find(call.namespace, id);
  if (!task) return;
  try {
    await stopTask(task, { signal: SIGKILL, graceMs: 0, abort: call.signal });
    await tasks.delete(call, id);
  } catch (error) {
    // Somebody else has deleted it.
    if (!isKind(error, 'NotFound')) throw error;
  }
}

/** Where the labels say; else it goes on to the log that is kept, or nowhere. */
function outputOf(
  { labels, spec }: Container,
  keptLog = '',
): { terminal: boolean; stdout: string; stderr: string } {
  const uri = labels[RestartLabel.LogUri] || keptLog;
  const terminal = hasTerminal(spec?.value ?? new Uint8Array());
  if (!terminal) return { terminal, stdout: uri, stderr: uri };
  return { terminal, stdout: uri || NOWHERE, stderr: '' };
}
