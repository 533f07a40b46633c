import { readdirSync } from 'node:fs';
import { AtFlag, close, isErrno, OpenFlag, openat, unlinkat } from '@longshore/linux';
import { type ByteString, toBytes } from '../tar/byte-string.ts';

/**
 * Removes a name in a directory, with everything below it when it is a directory; false when there was none.
 * Each level is opened from the one above without following symlinks, so that only what is below goes.
 */
export function removeEntry(directory: number, name: ByteString): boolean {
  try {
    unlinkat(directory, toBytes(name));
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    if (!isErrno(error, 'EISDIR')) throw error;
  }
  removeDirectory(directory, name);
  return true;
}

function removeDirectory(parent: number, name: ByteString): void {
  const directory = openat(parent, toBytes(name), OpenFlag.ReadOnly | OpenFlag.Directory | OpenFlag.NoFollow);
  try {
    for (const child of listDirectory(directory)) removeEntry(directory, child);
  } finally {
    close(directory);
  }
  unlinkat(parent, toBytes(name), AtFlag.RemoveDirectory);
}

/** The names in an open directory. */
export function listDirectory(directory: number): ByteString[] {
  return readdirSync(`/proc/self/fd/${directory}`, 'latin1');
}
