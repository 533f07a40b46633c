import { check, cString, declare, type PathLike } from './libc.ts';

/** Flags of the *at calls. Source: linux/fcntl.h. */
export const AtFlag = {
  SymlinkNoFollow: 0x100,
  RemoveDirectory: 0x200,
  EmptyPath: 0x1000,
} as const;

const mkdiratCall = declare<[number, Buffer, number]>(
  'int mkdirat(int dirfd, const void *path, unsigned int mode)',
);
const unlinkatCall = declare<[number, Buffer, number]>(
  'int unlinkat(int dirfd, const void *path, int flags)',
);
const symlinkatCall = declare<[Buffer, number, Buffer]>(
  'int symlinkat(const void *target, int dirfd, const void *path)',
);
const linkatCall = declare<[number, Buffer, number, Buffer, number]>(
  'int linkat(int oldDirfd, const void *oldPath, int newDirfd, const void *newPath, int flags)',
);
const mknodatCall = declare<[number, Buffer, number, number]>(
  'int mknodat(int dirfd, const void *path, unsigned int mode, uint64_t device)',
);
const readlinkatCall = declare<[number, Buffer, Buffer, number]>(
  'long readlinkat(int dirfd, const void *path, void *buffer, size_t size)',
);

/** Longest target that Linux stores in a symlink, with room to see that it was not cut. */
const PATH_MAX_BYTES = 4096;

/** `mode` is subject to the umask. */
export function mkdirat(dirfd: number, path: PathLike, mode: number): void {
  check(mkdiratCall(dirfd, cString(path), mode), 'mkdirat', path);
}

/** Removes a name; a directory's with {@link AtFlag.RemoveDirectory} only. A symlink at the end is not followed. */
export function unlinkat(dirfd: number, path: PathLike, flags = 0): void {
  check(unlinkatCall(dirfd, cString(path), flags), 'unlinkat', path);
}

/** `target` is stored as it is. */
export function symlinkat(target: PathLike, dirfd: number, path: PathLike): void {
  check(symlinkatCall(cString(target), dirfd, cString(path)), 'symlinkat', target, path);
}

/** A symlink at the end of `oldPath` is linked itself, not followed. */
export function linkat(oldDirfd: number, oldPath: PathLike, newDirfd: number, newPath: PathLike): void {
  check(linkatCall(oldDirfd, cString(oldPath), newDirfd, cString(newPath), 0), 'linkat', oldPath, newPath);
}

/** `mode` has the file type (`S_IFCHR` …) as well; `device` is of `makeDevice`. Subject to the umask. */
export function mknodat(dirfd: number, path: PathLike, mode: number, device: number): void {
  check(mknodatCall(dirfd, cString(path), mode, device), 'mknodat', path);
}

/** The target's bytes, which need not be UTF-8. */
export function readlinkat(dirfd: number, path: PathLike): Buffer {
  const target = Buffer.allocUnsafe(PATH_MAX_BYTES);
  const length = check(readlinkatCall(dirfd, cString(path), target, PATH_MAX_BYTES), 'readlinkat', path);
  return target.subarray(0, length);
}
