import { join, resolve } from 'node:path';
import { removeCgroup } from './cgroup-sweep.ts';
import { mountsBelow, unmount } from './mount-sweep.ts';
import { cgroupParentOf, checkStatePaths } from './services.ts';
import { endContainers } from './sweep.ts';

/** Where one longshore on this machine keeps everything. Several may run side by side, each with its own. */
export interface Instance {
  root: string;
  state: string;
  socket: string;
  logDir: string;
}

/** Throws InvalidArgument when a socket's path would be too long. */
export function instanceAt(root: string, state: string, socket: string | undefined): Instance {
  const absoluteState = resolve(state);
  const instance = {
    root: resolve(root),
    state: absoluteState,
    socket: resolve(socket || join(absoluteState, 'longshore.sock')),
    logDir: join(absoluteState, 'logs'),
  };
  checkStatePaths(instance.state, instance.socket);
  return instance;
}

/**
 * Ends what is left of an instance whose services are gone: shims, containers, cgroups, and the mounts of theirs.
 * Other mounts below its directories, such as an operator's disk, stay.
 */
export async function sweepInstance({ root, state, socket }: Instance): Promise<void> {
  await endContainers([root, state, socket]);
  await removeCgroup(cgroupParentOf(state));
  const mounts = [root, state].flatMap(mountsBelow);
  await unmount(mounts.filter(({ path, type }) => type === 'overlay' || path.startsWith(`${state}/`)));
}
