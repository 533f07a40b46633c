import { mkdir, mkdtemp, readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { unmountRecursive } from '@longshore/linux';

const PREFIX = 'longshore-layer-';

/** An empty directory to mount on, below `directory`. */
export function makeMountPoint(directory: string): Promise<string> {
  return mkdtemp(join(directory, PREFIX));
}

/** Ends what is mounted there first. Whatever shows through stays: only an empty directory is removed. */
export async function removeMountPoint(mountPoint: string): Promise<void> {
  await unmountRecursive(mountPoint);
  await rmdir(mountPoint);
}

/** Makes the directory; ends what a process that was killed has left mounted in it. For a directory of one process alone. */
export async function clearMountPoints(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const names = await readdir(directory);
  for (const name of names) {
    if (name.startsWith(PREFIX)) await removeMountPoint(join(directory, name));
  }
}
