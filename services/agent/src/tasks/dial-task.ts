import { messageOf } from '@longshore/errors';
import type { Bundle } from './bundle.ts';
import { ShimClient } from './shim-client.ts';
import { ShimLog } from './shim-log.ts';
import { Task } from './task.ts';
import type { TaskContext } from './task-context.ts';
import type { ProcessRecord } from './task-journal.ts';

/** For a shim to be reached. Source: containerd core/runtime/v2/shim.go. */
const DIAL_TIMEOUT_MS = 5_000;

/** Connects to the shim of a bundle that was made before; undefined when there is none to be reached. */
export async function dialTask(
  context: TaskContext,
  bundle: Bundle,
  record: ProcessRecord,
): Promise<Task | undefined> {
  const { namespace, id, bootstrap } = bundle;
  if (!bootstrap) return undefined;
  const log = new ShimLog(bundle.logPath, context.log.child({ namespace, id }));
  try {
    const client = await ShimClient.dial(bootstrap, AbortSignal.timeout(DIAL_TIMEOUT_MS));
    return new Task(context, bundle, record, client, log);
  } catch (error) {
    log.close();
    context.log.warn({ namespace, id, error: messageOf(error) }, 'shim cannot be reached');
    return undefined;
  }
}
