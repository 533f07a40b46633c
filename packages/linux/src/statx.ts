import { AtFlag } from './directory-entries.ts';
import { check, cString, declare, type PathLike } from './libc.ts';
import type { Timespec } from './timestamps.ts';

/** What statx(2) tells; its layout, unlike that of stat(2), is the same on every architecture. */
export interface FileStatus {
  /** File type and permission bits. */
  mode: number;
  linkCount: number;
  uid: number;
  gid: number;
  sizeBytes: number;
  /** With {@link device}, tells files apart. */
  inode: bigint;
  device: string;
  deviceMajor: number;
  deviceMinor: number;
  atime: Timespec;
  mtime: Timespec;
}

/** File types in `mode`. Source: linux/stat.h. */
export const FileType = {
  Mask: 0o170000,
  Fifo: 0o010000,
  Character: 0o020000,
  Directory: 0o040000,
  Block: 0o060000,
  Regular: 0o100000,
  Symlink: 0o120000,
  Socket: 0o140000,
} as const;

const statxCall = declare<[number, Buffer, number, number, Buffer]>(
  'int statx(int dirfd, const void *path, int flags, unsigned int mask, void *status)',
);

const STATX_BASIC_STATS = 0x7ff;
const status = Buffer.alloc(256);
const EMPTY = Buffer.from([0]);

/** The status of `path` itself: a symlink at its end is not followed. */
export function lstatat(dirfd: number, path: PathLike): FileStatus {
  const flags = AtFlag.SymlinkNoFollow;
  check(statxCall(dirfd, cString(path), flags, STATX_BASIC_STATS, status), 'statx', path);
  return decode();
}

/** The status of an open file, also of one opened with `OpenFlag.Path`. */
export function statHandle(fd: number): FileStatus {
  check(statxCall(fd, EMPTY, AtFlag.EmptyPath | AtFlag.SymlinkNoFollow, STATX_BASIC_STATS, status), 'statx');
  return decode();
}

export function isType(mode: number, type: number): boolean {
  return (mode & FileType.Mask) === type;
}

/** Offsets are those of `struct statx` in linux/stat.h. */
function decode(): FileStatus {
  return {
    linkCount: status.readUInt32LE(16),
    uid: status.readUInt32LE(20),
    gid: status.readUInt32LE(24),
    mode: status.readUInt16LE(28),
    inode: status.readBigUInt64LE(32),
    sizeBytes: Number(status.readBigUInt64LE(40)),
    atime: decodeTime(64),
    mtime: decodeTime(112),
    deviceMajor: status.readUInt32LE(128),
    deviceMinor: status.readUInt32LE(132),
    device: `${status.readUInt32LE(136)}:${status.readUInt32LE(140)}`,
  };
}

function decodeTime(offset: number): Timespec {
  return {
    seconds: Number(status.readBigInt64LE(offset)),
    nanoseconds: status.readUInt32LE(offset + 8),
  };
}
