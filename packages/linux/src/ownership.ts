import { AtFlag } from './directory-entries.ts';
import { check, cString, declare, type PathLike } from './libc.ts';

const fchownatCall = declare<[number, Buffer, number, number, number]>(
  'int fchownat(int dirfd, const void *path, unsigned int uid, unsigned int gid, int flags)',
);

/** Changes the owner of `path` itself, also where it is a symlink. Clears set-id bits and file capabilities. */
export function lchownat(dirfd: number, path: PathLike, uid: number, gid: number): void {
  check(fchownatCall(dirfd, cString(path), uid, gid, AtFlag.SymlinkNoFollow), 'fchownat', path);
}

/** Changes the owner of what `fd` stands for, which may be opened with `OpenFlag.Path`. */
export function chownHandle(fd: number, uid: number, gid: number): void {
  check(fchownatCall(fd, EMPTY, uid, gid, AtFlag.EmptyPath | AtFlag.SymlinkNoFollow), 'fchownat');
}

const EMPTY = Buffer.from([0]);
