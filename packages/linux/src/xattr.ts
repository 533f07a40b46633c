import { isErrno } from './errno.ts';
import { check, cString, declare, type PathLike } from './libc.ts';

const lsetxattrCall = declare<[Buffer, Buffer, Uint8Array, number, number]>(
  'int lsetxattr(const void *path, const void *name, const void *value, size_t size, int flags)',
);
const fsetxattrCall = declare<[number, Buffer, Uint8Array, number, number]>(
  'int fsetxattr(int fd, const void *name, const void *value, size_t size, int flags)',
);
const lgetxattrCall = declare<[Buffer, Buffer, Buffer, number]>(
  'long lgetxattr(const void *path, const void *name, void *value, size_t size)',
);
const llistxattrCall = declare<[Buffer, Buffer, number]>(
  'long llistxattr(const void *path, void *list, size_t size)',
);
const lremovexattrCall = declare<[Buffer, Buffer]>('int lremovexattr(const void *path, const void *name)');

/** Longest value and longest list of names. Source: linux/limits.h XATTR_SIZE_MAX, XATTR_LIST_MAX. */
export const XATTR_MAX_BYTES = 65536;

/** What calls write to; copied out of it before the next one. */
const result = Buffer.allocUnsafeSlow(XATTR_MAX_BYTES);

/** Sets an attribute of `path` itself, also where it is a symlink. */
export function lsetxattr(path: PathLike, name: PathLike, value: Uint8Array): void {
  check(lsetxattrCall(cString(path), cString(name), value, value.length, 0), 'lsetxattr', path, name);
}

/** Sets an attribute of an open file; not of one opened with `OpenFlag.Path`. */
export function fsetxattr(fd: number, name: PathLike, value: Uint8Array): void {
  check(fsetxattrCall(fd, cString(name), value, value.length, 0), 'fsetxattr', name);
}

/** The attribute of `path` itself; undefined when it has none of that name. */
export function lgetxattr(path: PathLike, name: PathLike): Buffer | undefined {
  try {
    const length = check(
      lgetxattrCall(cString(path), cString(name), result, result.length),
      'lgetxattr',
      path,
      name,
    );
    return Buffer.from(result.subarray(0, length));
  } catch (error) {
    if (isErrno(error, 'ENODATA')) return undefined;
    throw error;
  }
}

/** The names of all attributes of `path` itself. */
export function llistxattr(path: PathLike): string[] {
  const length = check(llistxattrCall(cString(path), result, result.length), 'llistxattr', path);
  return result
    .toString('utf8', 0, length)
    .split('\0')
    .filter((name) => name !== '');
}

export function lremovexattr(path: PathLike, name: PathLike): void {
  check(lremovexattrCall(cString(path), cString(name)), 'lremovexattr', path, name);
}
