import type { KeptStdio } from '../stdio/kept-stdio.ts';
import { KEPT_LOG } from '../stdio/log-uri.ts';
import type { TaskManager } from '../tasks/task-manager.ts';

/** The URI by which a container's output goes on to the log that this agent keeps of it; undefined without one. */
export type KeptLogOf = (namespace: string, id: string) => string | undefined;

/** As the task asked for that is there yet, or by the node's own limits. */
export function keptLogOf(
  tasks: Pick<TaskManager, 'find'>,
  stdio: Pick<KeptStdio, 'directoryOf' | 'logOf'>,
): KeptLogOf {
  return (namespace, id) => {
    if (!stdio.logOf(namespace, id)) return undefined;
    const task = tasks.find(namespace, id);
    return (task && stdio.directoryOf(task).read('log')) ?? KEPT_LOG;
  };
}
