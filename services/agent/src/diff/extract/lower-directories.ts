import {
  AT_FDCWD,
  close,
  type FileStatus,
  isErrno,
  lgetxattr,
  llistxattr,
  OpenFlag,
  openat,
  openat2,
  Resolve,
  statHandle,
} from '@longshore/linux';
import { type ByteString, toBytes } from '../tar/byte-string.ts';

export interface DirectoryAttributes {
  status: FileStatus;
  xattrs: readonly (readonly [name: string, value: Buffer])[];
}

/** How overlayfs marks files for itself; true of one mount only, so never copied and never taken from an archive. */
const OVERLAY_XATTR = /^(trusted|user)\.overlay\./;

export function isOverlayXattr(name: string): boolean {
  return OVERLAY_XATTR.test(name);
}

/** The directories below an overlay's upper one, the nearest first. They are only read. */
export class LowerDirectories {
  private readonly roots: number[] = [];

  constructor(paths: readonly string[]) {
    try {
      for (const path of paths) this.roots.push(openat(AT_FDCWD, path, OpenFlag.Path | OpenFlag.Directory));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** What a directory looked like before this layer; undefined when there was none. */
  find(path: ByteString): DirectoryAttributes | undefined {
    for (const root of this.roots) {
      const found = lookUp(root, path);
      if (found === 'hidden') return undefined;
      if (found) return found;
    }
    return undefined;
  }

  close(): void {
    for (const root of this.roots) close(root);
    this.roots.length = 0;
  }
}

/** `hidden` when something else than a directory stands there: a whiteout, or what replaced the directory. */
function lookUp(root: number, path: ByteString): DirectoryAttributes | 'hidden' | undefined {
  let directory: number;
  try {
    const flags = OpenFlag.ReadOnly | OpenFlag.Directory;
    directory = openat2(root, toBytes(path), { flags, resolve: Resolve.InRoot });
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    if (isErrno(error, 'ENOTDIR', 'ELOOP')) return 'hidden';
    throw error;
  }
  try {
    return { status: statHandle(directory), xattrs: readXattrs(`/proc/self/fd/${directory}/.`) };
  } finally {
    close(directory);
  }
}

function readXattrs(path: string): [string, Buffer][] {
  const xattrs: [string, Buffer][] = [];
  for (const name of llistxattr(path)) {
    const value = isOverlayXattr(name) ? undefined : lgetxattr(path, name);
    if (value) xattrs.push([name, value]);
  }
  return xattrs;
}
