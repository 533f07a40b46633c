import { chmodSync, fchmodSync, fchownSync } from 'node:fs';
import {
  close,
  fsetxattr,
  futimens,
  isErrno,
  lchownat,
  lsetxattr,
  OpenFlag,
  openat,
  type Timespec,
  utimensat,
} from '@longshore/linux';
import { type ByteString, toBytes } from '../tar/byte-string.ts';
import type { TarEntry } from '../tar/tar-entry.ts';
import { type DirectoryAttributes, isOverlayXattr } from './lower-directories.ts';

/** Times beyond what fits 64 bits of nanoseconds become the epoch, as those before it do: so does containerd. */
const MAX_SECONDS = Math.floor(2 ** 63 / 1e9);
const EPOCH: Timespec = { seconds: 0, nanoseconds: 0 };

/** `EOPNOTSUPP`: the file system has no such attributes, which is no reason to refuse an image. */
const XATTR_NOT_SUPPORTED = 'ENOTSUP';

/** Owner, attributes and mode, in this order: a change of owner clears file capabilities and set-id bits. */
export function applyToOpenFile(fd: number, entry: TarEntry): void {
  fchownSync(fd, entry.uid, entry.gid);
  for (const [name, value] of entry.xattrs) {
    setXattr(entry, name, () => fsetxattr(fd, toBytes(name), value));
  }
  fchmodSync(fd, entry.mode);
}

export function applyTimes(fd: number, entry: TarEntry): void {
  const { atime, mtime } = timesOf(entry);
  futimens(fd, atime, mtime);
}

/** The same, and times, for what cannot be opened: symlinks, and devices and pipes that must not be. */
export function applyToName(directory: number, name: ByteString, entry: TarEntry): void {
  const bytes = toBytes(name);
  lchownat(directory, bytes, entry.uid, entry.gid);
  const path = Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), bytes]);
  for (const [xattr, value] of entry.xattrs) {
    setXattr(entry, xattr, () => lsetxattr(path, toBytes(xattr), value));
  }
  if (entry.type !== 'symlink') changeMode(directory, bytes, entry.mode);
  const { atime, mtime } = timesOf(entry);
  utimensat(directory, bytes, atime, mtime);
}

/** What a missing parent takes over from the directory that an overlay shows in its place. */
export function applyLowerAttributes(fd: number, { status, xattrs }: DirectoryAttributes): void {
  fchownSync(fd, status.uid, status.gid);
  for (const [name, value] of xattrs) {
    try {
      fsetxattr(fd, name, value);
    } catch (error) {
      if (!isErrno(error, XATTR_NOT_SUPPORTED)) throw error;
    }
  }
  fchmodSync(fd, status.mode & 0o7777);
}

/** Times to be set on the file; the access is never taken to be before the modification. */
export function timesOf({ atime, mtime }: TarEntry): { atime: Timespec; mtime: Timespec } {
  const latest = isBefore(atime, mtime) ? mtime : atime;
  return { atime: bounded(latest), mtime: bounded(mtime) };
}

/** Through a handle, since Linux before 6.6 cannot change a mode by name without following symlinks. */
function changeMode(directory: number, name: Buffer, mode: number): void {
  const handle = openat(directory, name, OpenFlag.Path | OpenFlag.NoFollow);
  try {
    chmodSync(`/proc/self/fd/${handle}`, mode);
  } finally {
    close(handle);
  }
}

function setXattr(entry: TarEntry, name: ByteString, set: () => void): void {
  if (isOverlayXattr(name)) return;
  try {
    set();
  } catch (error) {
    if (isErrno(error, XATTR_NOT_SUPPORTED)) return;
    // Only files and directories can have attributes of users; see xattr(7).
    const cannotHave = entry.type !== 'file' && entry.type !== 'directory';
    if (isErrno(error, 'EPERM') && name.startsWith('user.') && cannotHave) return;
    throw error;
  }
}

function isBefore(a: Timespec, b: Timespec): boolean {
  return a.seconds === b.seconds ? a.nanoseconds < b.nanoseconds : a.seconds < b.seconds;
}

function bounded(time: Timespec): Timespec {
  return time.seconds < 0 || time.seconds > MAX_SECONDS ? EPOCH : time;
}
