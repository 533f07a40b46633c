import { create } from '@bufbuild/protobuf';
import { type Process, ProcessSchema, Status } from '@longshore/proto/containerd/v1/types/task';
import { STATUSES } from '../containers/container-json.ts';
import { timeToJson } from '../time.ts';

/** Of a task whose node does not tell how it is by now. */
export function unknownTask(node: string, id: string) {
  return taskToJson(create(ProcessSchema, { id, status: Status.UNKNOWN }), node);
}

/** A task for people: how it ended is told once it has. */
export function taskToJson(process: Process, node: string) {
  const { status, pid, terminal, exitStatus, exitedAt } = process;
  const hasEnded = status === Status.STOPPED;
  return {
    // Of a listed task, which is no exec, `id` is the container's.
    id: process.containerId || process.id,
    node,
    status: STATUSES[status] ?? 'unknown',
    pid,
    terminal,
    exit_status: hasEnded ? exitStatus : null,
    exited_at: (hasEnded && timeToJson(exitedAt)) || null,
  };
}
