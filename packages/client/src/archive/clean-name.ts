import { posix } from 'node:path';
import { invalidArgument } from '@longshore/errors';

/** PATH_MAX of Linux. */
const MAX_BYTES = 4096;

/**
 * The name of a member below its archive's root; empty for the root itself. Throws InvalidArgument for one that leads out of it, or that
 * two readers could take for two names.
 */
export function cleanName(name: string): string {
  const shown = JSON.stringify(name.slice(0, 100));
  if (name.includes('\0') || Buffer.byteLength(name) > MAX_BYTES) {
    throw invalidArgument(`archive has a member with the bad name ${shown}`);
  }
  if (name.split('/').includes('..') || name.startsWith('/')) {
    throw invalidArgument(`archive has the member ${shown} outside of it`);
  }
  const clean = posix.normalize(name).replace(/\/$/, '');
  return clean === '.' ? '' : clean;
}

/** What a symbolic link in an archive stands for, below the root; undefined where it leads out of it. */
export function linkedName(name: string, target: string): string | undefined {
  if (target.startsWith('/') || target.includes('\0')) return undefined;
  const joined = posix.join(posix.dirname(name), target);
  return joined === '..' || joined.startsWith('../') ? undefined : joined;
}
