import { timestampNow } from '@bufbuild/protobuf/wkt';
import { isKind } from '@longshore/errors';
import { ShimGoneError } from '../tasks/shim-client.ts';
import type { Task } from '../tasks/task.ts';
import type { ProcessExit } from '../tasks/task-report.ts';

/** Of a task's first process, unless it says otherwise. */
export interface WhichExit {
  execId?: string;
  signal?: AbortSignal | undefined;
}

/** How a process of a task ended, whoever deletes what. Fails as the shim does, e.g. for an exec that is not there. */
export async function exitOf(task: Task, { execId = '', signal }: WhichExit = {}): Promise<ProcessExit> {
  try {
    const { exitStatus, exitedAt = timestampNow() } = await task.call('wait', { execId }, { signal });
    return { pid: execId ? 0 : task.record.pid, exitStatus, exitedAt };
  } catch (error) {
    // Its shim was lost, or somebody deletes it.
    if (error instanceof ShimGoneError || (execId === '' && isKind(error, 'NotFound'))) return task.gone;
    throw error;
  }
}
