import { messageOf } from '@longshore/errors';
import type { Bundle } from './bundle.ts';
import { ShimClient } from './shim-client.ts';
import { ShimLog } from './shim-log.ts';
import { isShortage } from './shortage.ts';
import { Task } from './task.ts';
import type { TaskContext } from './task-context.ts';
import type { ProcessRecord } from './task-journal.ts';

/**
 * Connects to the shim of a bundle that was made before; undefined when there is none to be reached. Fails only for want of
 * descriptors and the like, when nobody can say.
 */
export async function dialTask(
  context: TaskContext,
  bundle: Bundle,
  record: ProcessRecord,
): Promise<Task | undefined> {
  const { namespace, id, bootstrap } = bundle;
  if (!bootstrap) return undefined;
  const log = openLog(context, bundle);
  try {
    const client = await ShimClient.dial(bootstrap);
    return new Task(context, bundle, record, client, log);
  } catch (error) {
    log.close();
    if (isShortage(error)) throw error;
    context.log.warn({ namespace, id, error: messageOf(error) }, 'shim cannot be reached');
    return undefined;
  }
}

/** A shim that cannot be heard can be worked with all the same. */
function openLog({ log }: TaskContext, { logPath, namespace, id }: Bundle): Pick<ShimLog, 'close'> {
  try {
    return new ShimLog(logPath, log.child({ namespace, id }));
  } catch (error) {
    if (isShortage(error)) throw error;
    log.warn({ namespace, id, error: messageOf(error) }, 'log of shim cannot be read');
    return { close: () => undefined };
  }
}
