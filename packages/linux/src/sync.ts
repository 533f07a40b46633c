import { declareAsync } from './libc.ts';
import { AT_FDCWD, close, OpenFlag, openat } from './open.ts';

const syncfsCall = declareAsync<[number]>('int syncfs(int fd)');

/** Resolves when everything written so far to the file system that holds `path` is on disk. */
export async function syncFileSystem(path: string): Promise<void> {
  const fd = openat(AT_FDCWD, path, OpenFlag.ReadOnly | OpenFlag.NonBlock);
  try {
    await syncfsCall({ syscall: 'syncfs', path }, fd);
  } finally {
    close(fd);
  }
}
