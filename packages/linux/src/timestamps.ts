import { AtFlag } from './directory-entries.ts';
import { check, cString, declare, type PathLike } from './libc.ts';

/** A point in time since the epoch; `nanoseconds` counts up from `seconds`, also before 1970. */
export interface Timespec {
  seconds: number;
  nanoseconds: number;
}

const utimensatCall = declare<[number, Buffer, Buffer, number]>(
  'int utimensat(int dirfd, const void *path, const void *times, int flags)',
);
const futimensCall = declare<[number, Buffer]>('int futimens(int fd, const void *times)');

/** Two `struct timespec`, of two 64-bit numbers each. */
const times = Buffer.alloc(32);

/** Sets the times of `path` itself, also where it is a symlink. */
export function utimensat(dirfd: number, path: PathLike, atime: Timespec, mtime: Timespec): void {
  encode(atime, mtime);
  check(utimensatCall(dirfd, cString(path), times, AtFlag.SymlinkNoFollow), 'utimensat', path);
}

/** Sets the times of an open file. */
export function futimens(fd: number, atime: Timespec, mtime: Timespec): void {
  encode(atime, mtime);
  check(futimensCall(fd, times), 'futimens');
}

function encode(atime: Timespec, mtime: Timespec): void {
  writeTimespec(atime, 0);
  writeTimespec(mtime, 16);
}

function writeTimespec({ seconds, nanoseconds }: Timespec, offset: number): void {
  times.writeUInt32LE(seconds >>> 0, offset);
  times.writeInt32LE(Math.floor(seconds / 2 ** 32), offset + 4);
  times.writeUInt32LE(nanoseconds, offset + 8);
}
