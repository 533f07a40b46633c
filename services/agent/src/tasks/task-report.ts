import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import { type Timestamp, timestampNow } from '@bufbuild/protobuf/wkt';
import {
  TaskCheckpointedSchema,
  TaskCreateSchema,
  TaskDeleteSchema,
  TaskExecAddedSchema,
  TaskExecStartedSchema,
  TaskExitSchema,
  TaskOOMSchema,
  TaskPausedSchema,
  TaskResumedSchema,
  TaskStartSchema,
} from '@longshore/proto/containerd/events/task';
import type { Envelope } from '@longshore/proto/containerd/types/event';

/** How a process ended. */
export interface ProcessExit {
  /** 0 when not known. */
  pid: number;
  exitStatus: number;
  exitedAt: Timestamp;
}

/** What an event says of a task. `execId` is empty for its first process. */
export type TaskReport = { containerId: string; execId: string; pid: number } & (
  | { kind: 'created' | 'started' | 'recurring' }
  | { kind: 'exited' | 'deleted'; exit: ProcessExit }
);

type Reader = (value: Uint8Array) => TaskReport;

const READERS: Readonly<Record<string, Reader>> = {
  '/tasks/create': reader(TaskCreateSchema, ({ containerId, pid }) => {
    return { kind: 'created', containerId, execId: '', pid };
  }),
  '/tasks/start': reader(TaskStartSchema, ({ containerId, pid }) => {
    return { kind: 'started', containerId, execId: '', pid };
  }),
  '/tasks/exec-added': reader(TaskExecAddedSchema, ({ containerId, execId }) => {
    return { kind: 'created', containerId, execId, pid: 0 };
  }),
  '/tasks/exec-started': reader(TaskExecStartedSchema, ({ containerId, execId, pid }) => {
    return { kind: 'started', containerId, execId, pid };
  }),
  '/tasks/exit': reader(TaskExitSchema, (event) => ({ kind: 'exited', ...endOf(event) })),
  '/tasks/delete': reader(TaskDeleteSchema, (event) => ({ kind: 'deleted', ...endOf(event) })),
  '/tasks/paused': reader(TaskPausedSchema, recurring),
  '/tasks/resumed': reader(TaskResumedSchema, recurring),
  '/tasks/checkpointed': reader(TaskCheckpointedSchema, recurring),
  '/tasks/oom': reader(TaskOOMSchema, recurring),
};

/** Undefined for an event of something else, or one that does not hold what its topic says. */
export function readTaskReport({ topic, event }: Envelope): TaskReport | undefined {
  try {
    return event && READERS[topic]?.(event.value);
  } catch {
    // Passed on as it came; its sender's mistake is not ours to hide.
    return undefined;
  }
}

function reader<D extends DescMessage>(schema: D, read: (message: MessageShape<D>) => TaskReport): Reader {
  return (value) => read(fromBinary(schema, value));
}

function recurring({ containerId }: { containerId: string }): TaskReport {
  return { kind: 'recurring', containerId, execId: '', pid: 0 };
}

/** The first process is named by the container's id, or by none. */
function endOf(event: {
  containerId: string;
  id: string;
  pid: number;
  exitStatus: number;
  exitedAt?: Timestamp | undefined;
}) {
  const { containerId, id, pid, exitStatus, exitedAt = timestampNow() } = event;
  const execId = id === containerId ? '' : id;
  return { containerId, execId, pid, exit: { pid, exitStatus, exitedAt } };
}
