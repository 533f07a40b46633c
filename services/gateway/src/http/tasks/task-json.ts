import { type Process, Status } from '@longshore/proto/containerd/v1/types/task';
import { timeToJson } from '../time.ts';

export const TASK_STATUSES = {
  [Status.UNKNOWN]: 'unknown',
  [Status.CREATED]: 'created',
  [Status.RUNNING]: 'running',
  [Status.STOPPED]: 'stopped',
  [Status.PAUSED]: 'paused',
  [Status.PAUSING]: 'pausing',
} as const;

/** A task for people: how it ended is told once it has. */
export function taskToJson(process: Process, node: string) {
  const { status, pid, terminal, exitStatus, exitedAt } = process;
  const hasEnded = status === Status.STOPPED;
  return {
    // Of a listed task, which is no exec, `id` is the container's.
    id: process.containerId || process.id,
    node,
    status: TASK_STATUSES[status] ?? 'unknown',
    pid,
    terminal,
    exit_status: hasEnded ? exitStatus : null,
    exited_at: (hasEnded && timeToJson(exitedAt)) || null,
  };
}
