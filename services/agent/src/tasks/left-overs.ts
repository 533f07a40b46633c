import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '@longshore/errors';
import { cgroupState, killCgroup, removeCgroup } from '@longshore/linux';
import type { Bundle } from './bundle.ts';
import { listBundles } from './list-bundles.ts';
import { runcRoot } from './runc-root.ts';
import type { TaskContext } from './task-context.ts';

/**
 * Takes away what a container has left where its runtime works, processes included, once its shim is gone and the runtime
 * has had its turn: it may have failed, or hung.
 */
export async function endLeftOvers(context: TaskContext, bundle: Bundle): Promise<void> {
  const { cgroup, namespace, id } = bundle;
  if (cgroup !== undefined && cgroupState(cgroup) !== 'absent' && !isShared(context, cgroup, bundle)) {
    context.log.warn({ namespace, id, cgroup }, 'cgroup is left behind, ending what is in it');
    if (!(await end(context, cgroup))) return;
  }
  await rm(join(runcRoot(context.directories), namespace, id), { recursive: true, force: true });
}

/**
 * Makes room for a new container's cgroup: runc refuses one that is frozen, as a container leaves it that was paused when
 * everything that knew of it died. Nothing else is touched.
 */
export async function clearFrozenCgroup(context: TaskContext, cgroup: string | undefined): Promise<void> {
  if (cgroup === undefined || cgroupState(cgroup) !== 'frozen' || isShared(context, cgroup)) return;
  context.log.warn({ cgroup }, 'a frozen cgroup was left behind, ending what is in it');
  await end(context, cgroup);
}

/** What cannot be ended is the runtime's to refuse. */
async function end({ log }: TaskContext, cgroup: string): Promise<boolean> {
  try {
    await killCgroup(cgroup);
    await removeCgroup(cgroup);
    return true;
  } catch (error) {
    log.error({ cgroup, error: messageOf(error) }, 'cgroup stays');
    return false;
  }
}

/** True when another task's processes are there, or below. */
function isShared({ directories }: TaskContext, cgroup: string, own?: Bundle): boolean {
  const others = listBundles(directories).filter(({ path }) => path !== own?.path);
  return others.some((other) => `${other.cgroup ?? ''}/`.startsWith(`${cgroup}/`));
}
