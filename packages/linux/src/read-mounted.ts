import { rmdirSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Mount, mountAll, unmountRecursive } from './mount.ts';

/** Mounts for reading: an overlay without its writable layer, anything else read-only. */
function readOnly(mount: Mount): Mount {
  const isWritable = /^(upperdir|workdir)=/;
  const upper = mount.options.find((option) => option.startsWith('upperdir='))?.slice('upperdir='.length);
  if (mount.type !== 'overlay' || upper === undefined) {
    return { ...mount, options: [...mount.options.filter((option) => option !== 'rw'), 'ro'] };
  }
  const options = mount.options
    .filter((option) => !isWritable.test(option))
    .map((option) => option.replace(/^lowerdir=/, `lowerdir=${upper}:`));
  return { ...mount, options };
}

/** Reads in a file system that is mounted for that time only, on a directory of its own. Needs root. */
export async function readMounted<T>(mounts: readonly Mount[], read: (directory: string) => T): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'longshore-mount-'));
  try {
    await mountAll(mounts.map(readOnly), directory);
    return read(directory);
  } finally {
    await unmountRecursive(directory);
    rmdirSync(directory);
  }
}
