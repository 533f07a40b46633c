import { timestampNow } from '@bufbuild/protobuf/wkt';
import { Status } from '@longshore/proto/containerd/v1/types/task';
import type { Task } from './task.ts';
import type { TaskCall, TaskContext } from './task-context.ts';
import type { ProcessRecord } from './task-journal.ts';

/**
 * Records how a process ended before its shim is asked to forget it: were this agent to die before the shim's own report
 * comes, nobody could tell any more. What the shim cannot tell is left to that report. Fails with what the disk does; then the
 * shim must not be asked yet.
 */
export async function recordExit(
  { events, journal }: TaskContext,
  task: Task,
  record: ProcessRecord,
  call: TaskCall,
): Promise<void> {
  const { exited, ended } = journal.reread(record);
  if (exited || ended) return;
  const state = await task.call('state', { execId: record.execId }, call).catch(() => undefined);
  if (state?.status !== Status.STOPPED) return;
  const { pid, exitStatus, exitedAt = timestampNow() } = state;
  const current = journal.reread(record);
  // On a busy host, the shim's report of its making may be still to come.
  events.foundCreated(current, record.pid, task.bundle.path);
  events.foundExited(current, { pid, exitStatus, exitedAt });
}
