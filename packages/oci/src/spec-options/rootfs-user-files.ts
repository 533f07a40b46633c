import { readRootfsFile } from './rootfs-file.ts';
import type { UserFiles } from './user-database.ts';

/** A directory service's whole dump has a few; an image that has more is no use, and would be held in memory. */
const MAX_USER_FILE_BYTES = 8 * 1024 * 1024;

/**
 * The users and groups of a root file system that is a directory, such as a mounted snapshot; they are read each time they
 * are asked for, and nothing outside of it. Throws FailedPrecondition for files that are not to be read.
 */
export function rootfsUserFiles(rootfs: string): UserFiles {
  const read = (path: string) => readRootfsFile(rootfs, path, MAX_USER_FILE_BYTES)?.toString('utf8');
  return { passwd: () => read('etc/passwd'), group: () => read('etc/group') };
}
