import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import type { CallOptions } from '@longshore/rpc';
import type { Connection } from '../connection/connection.ts';
import { type ProcessStatus, processStatusFromProto } from './process-status.ts';

/** A task, as its first process is. */
export interface TaskInfo extends ProcessStatus {
  readonly containerId: string;
}

/** Those of one namespace; at a fleet's edge those of all nodes, when none is meant. */
export async function* listTasks(connection: Connection, options?: CallOptions): AsyncGenerator<TaskInfo> {
  const { tasks } = await connection.service(Tasks).list({}, options);
  for (const process of tasks) yield { containerId: process.id, ...processStatusFromProto(process) };
}
