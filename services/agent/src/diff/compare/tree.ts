import { readdirSync } from 'node:fs';
import {
  close,
  type FileStatus,
  isErrno,
  lgetxattr,
  llistxattr,
  lstatat,
  OpenFlag,
  openat,
} from '@longshore/linux';
import { type ByteString, toBytes } from '../tar/byte-string.ts';

/** An attribute of a file, as a layer holds it. */
export type Xattr = readonly [name: ByteString, value: Buffer];

const DIRECTORY = OpenFlag.ReadOnly | OpenFlag.Directory | OpenFlag.NoFollow;

/** What overlayfs notes for itself, which is no part of any image. */
const OVERLAY = 'user.overlay.';

/** The names in an open directory, by their bytes. */
export function namesIn(directory: number): ByteString[] {
  return readdirSync(`/proc/self/fd/${directory}`, 'latin1').sort();
}

/** What is at a name; undefined when nothing is. */
export function statusOf(directory: number, name: ByteString): FileStatus | undefined {
  return unlessGone(() => lstatat(directory, toBytes(name)));
}

/** Opens a directory without following a symlink; undefined when none is at the name. To be closed. */
export function openDirectory(parent: number, name: ByteString): number | undefined {
  return unlessGone(() => openat(parent, toBytes(name), DIRECTORY));
}

/** Opens what is in a directory for the time of `use`. */
export function withOpen<T>(fd: number, use: (fd: number) => T): T {
  try {
    return use(fd);
  } finally {
    close(fd);
  }
}

/**
 * The attributes that belong to a layer: capabilities, as with containerd, and those of users, which OCI asks for too.
 * Others (labels of SELinux, `trusted`) are this machine's own.
 */
export function layerXattrs(directory: number, name: ByteString): Xattr[] {
  const path = Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), toBytes(name)]);
  const xattrs: Xattr[] = [];
  for (const xattr of xattrNames(path).sort()) {
    const wanted =
      xattr === 'security.capability' || (xattr.startsWith('user.') && !xattr.startsWith(OVERLAY));
    const value = wanted ? lgetxattr(path, xattr) : undefined;
    if (value) xattrs.push([Buffer.from(xattr).toString('latin1'), value]);
  }
  return xattrs;
}

/** The names of all attributes of an open directory. */
export function directoryXattrNames(directory: number): string[] {
  return xattrNames(Buffer.from(`/proc/self/fd/${directory}/.`));
}

function xattrNames(path: Buffer): string[] {
  try {
    return llistxattr(path);
  } catch (error) {
    if (isErrno(error, 'ENOTSUP')) return [];
    throw error;
  }
}

function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
}
