import { constants } from 'node:fs';
import { isErrno } from './errno.ts';
import { check, cString, declare, type PathLike } from './libc.ts';

/** `dirfd` for paths relative to the working directory. Source: linux/fcntl.h. */
export const AT_FDCWD = -100;

/** Flags of open(2); those whose number differs between architectures come from Node. */
export const OpenFlag = {
  ReadOnly: constants.O_RDONLY,
  WriteOnly: constants.O_WRONLY,
  ReadWrite: constants.O_RDWR,
  Create: constants.O_CREAT,
  Exclusive: constants.O_EXCL,
  Truncate: constants.O_TRUNC,
  Directory: constants.O_DIRECTORY,
  NoFollow: constants.O_NOFOLLOW,
  NonBlock: constants.O_NONBLOCK,
  CloseOnExec: 0o2000000,
  /** A handle on the name only: opens no device, needs no permission on the file. */
  Path: 0o10000000,
} as const;

/** How openat2(2) may walk. Source: linux/openat2.h. */
export const Resolve = {
  NoCrossDevice: 0x01,
  NoMagicLinks: 0x02,
  NoSymlinks: 0x04,
  /** Refuses to leave `dirfd`, with EXDEV. */
  Beneath: 0x08,
  /** Takes `dirfd` for the root directory: absolute symlinks and `..` stay inside. */
  InRoot: 0x10,
} as const;

export interface OpenHow {
  /** Of {@link OpenFlag}; close-on-exec is added. */
  flags: number;
  /** Permission bits of a file that is created. */
  mode?: number;
  /** Of {@link Resolve}. */
  resolve?: number;
}

/** The same number on x86-64 and arm64, as for all calls since Linux 5.1. */
const SYS_OPENAT2 = 437;
const OPEN_HOW_SIZE_BYTES = 24;

/** EAGAIN says that something was renamed during the walk; the kernel asks to try again. */
const MAX_RACES = 32;

const openat2Call = declare<[number, number, Buffer, Buffer, number]>(
  'long syscall(long number, int dirfd, const void *path, const void *how, size_t size)',
);
const openatCall = declare<[number, Buffer, number, number]>(
  'int openat(int dirfd, const void *path, int flags, unsigned int mode)',
);

const closeCall = declare<[number]>('int close(int fd)');

const how = Buffer.alloc(OPEN_HOW_SIZE_BYTES);

/** openat2(2): a file descriptor, to be closed with {@link close}. Needs Linux 5.6. Throws a SystemCallError. */
export function openat2(dirfd: number, path: PathLike, { flags, mode = 0, resolve = 0 }: OpenHow): number {
  const name = cString(path);
  // `flags` and `mode` are 64 bits wide, but all of their bits are in the lower half.
  how.writeUInt32LE((flags | OpenFlag.CloseOnExec) >>> 0, 0);
  how.writeUInt32LE(mode, 8);
  how.writeUInt32LE(resolve, 16);
  for (let races = 0; ; races++) {
    try {
      return check(openat2Call(SYS_OPENAT2, dirfd, name, how, OPEN_HOW_SIZE_BYTES), 'openat2', path);
    } catch (error) {
      if (!isErrno(error, 'EAGAIN') || races === MAX_RACES) throw error;
    }
  }
}

/** openat(2), as {@link openat2} without rules for the walk. */
export function openat(dirfd: number, path: PathLike, flags: number, mode = 0): number {
  return check(openatCall(dirfd, cString(path), flags | OpenFlag.CloseOnExec, mode), 'openat', path);
}

/** Opens `path` as a process would whose root directory is `root`: nothing in it leads outside. */
export function openInRoot(root: string, path: PathLike, flags: number, mode = 0): number {
  const rootFd = openat(AT_FDCWD, root, OpenFlag.Path | OpenFlag.Directory);
  try {
    return openat2(rootFd, path, { flags, mode, resolve: Resolve.InRoot });
  } finally {
    close(rootFd);
  }
}

/** Closes what the calls here opened. In a worker thread, Node's own `closeSync` warns of each that it did not open. */
export function close(fd: number): void {
  check(closeCall(fd), 'close');
}
