import {
  AT_FDCWD,
  close,
  isErrno,
  mkdirat,
  OpenFlag,
  openat,
  openat2,
  Resolve,
  readlinkat,
  SystemCallError,
} from '@longshore/linux';
import { type ByteString, fromBytes, printable, toBytes } from '../tar/byte-string.ts';

/** An open directory below the root. */
export interface OpenDirectory {
  fd: number;
  /** Its path from the root, free of symlinks and of `..`; empty for the root itself. */
  path: ByteString;
}

/** As in the kernel's own walk. Source: linux/namei.h MAXSYMLINKS. */
const MAX_SYMLINKS = 40;

/** Of all paths and symlinks on the way to one directory: far more than any honest archive needs. */
const MAX_STEPS = 4096;

/** Longest path that the kernel takes, NUL included: a deeper directory could not be reached from outside again. */
const PATH_MAX_BYTES = 4096;

/** Archives list files directory by directory, so few are needed again; each costs a file descriptor. */
const MAX_OPEN_DIRECTORIES = 64;

const DIRECTORY = OpenFlag.ReadOnly | OpenFlag.Directory;

/**
 * The directory that a layer is applied to, and the only way to directories in it. It is opened once; all else is
 * opened from it by the kernel without following any symlink. Symlinks are followed here, one component at a time,
 * as a process would whose root directory this is. So nothing in an archive, nor a symlink put in place meanwhile by
 * someone else, leads outside.
 */
export class LayerRoot {
  private readonly root: OpenDirectory;
  private readonly onCreate: (directory: OpenDirectory) => void;
  /** By the path asked for, the least recently used first. */
  private readonly open = new Map<ByteString, OpenDirectory>();
  private stale = false;

  /** `onCreate` is told of each missing parent that was created, so that it can get its mode and owner. */
  constructor(path: string, onCreate: (directory: OpenDirectory) => void) {
    this.root = { fd: openat(AT_FDCWD, path, DIRECTORY), path: '' };
    this.onCreate = onCreate;
  }

  /** To be called between entries: closes what is no longer needed. Directories got before are invalid after it. */
  trim(): void {
    for (const [key, directory] of this.open) {
      if (!this.stale && this.open.size <= MAX_OPEN_DIRECTORIES) break;
      this.open.delete(key);
      close(directory.fd);
    }
    this.stale = false;
  }

  /** After something was removed or replaced, paths may lead elsewhere than before. */
  forget(): void {
    this.stale = true;
  }

  /** The directory, with what is missing of it created. Throws a SystemCallError, ENOTDIR where a file is in the way. */
  ensureDirectory(components: readonly ByteString[]): OpenDirectory {
    return this.directory(components, true);
  }

  /** The directory; throws ENOENT when there is none. */
  findDirectory(components: readonly ByteString[]): OpenDirectory {
    return this.directory(components, false);
  }

  /** A directory by its {@link OpenDirectory.path}; undefined when it is gone or another kind of file now. To be closed. */
  reopen(path: ByteString): number | undefined {
    try {
      return this.openPath(path);
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
      throw error;
    }
  }

  /** Keeps a directory that was opened by the caller, who is not to close it any more. */
  adopt(directory: OpenDirectory): void {
    const known = this.open.get(directory.path);
    if (known) close(known.fd);
    this.open.set(directory.path, directory);
  }

  close(): void {
    this.forget();
    this.trim();
    close(this.root.fd);
  }

  private directory(components: readonly ByteString[], create: boolean): OpenDirectory {
    if (components.length === 0) return this.root;
    const key = components.join('/');
    const known = this.open.get(key);
    if (known) {
      this.open.delete(key);
      this.open.set(key, known);
      return known;
    }
    const directory = this.openDirectly(key) ?? this.walk(components, create);
    this.open.set(key, directory);
    return directory;
  }

  /** One call for the usual case, in which all is there and nothing is a symlink. */
  private openDirectly(path: ByteString): OpenDirectory | undefined {
    const fd = this.reopen(path);
    return fd === undefined ? undefined : { fd, path };
  }

  private openPath(path: ByteString): number {
    const resolve = Resolve.NoSymlinks | Resolve.Beneath;
    return openat2(this.root.fd, path === '' ? '.' : toBytes(path), { flags: DIRECTORY, resolve });
  }

  private walk(components: readonly ByteString[], create: boolean): OpenDirectory {
    const pending = [...components].reverse();
    let here: OpenDirectory = { fd: this.openPath(''), path: '' };
    let symlinks = 0;
    let steps = 0;
    try {
      for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
        if (++steps > MAX_STEPS) throw tooManySymlinks(components);
        if (name === '' || name === '.') continue;
        const next = name === '..' ? this.parentOf(here) : this.childOf(here, name, create);
        if ('target' in next) {
          if (++symlinks > MAX_SYMLINKS)
            throw new SystemCallError('ELOOP', 'open', printable(components.join('/')));
          pending.push(...next.target.split('/').reverse());
          if (next.target.startsWith('/')) here = replace(here, { fd: this.openPath(''), path: '' });
          continue;
        }
        here = replace(here, next);
      }
      return here;
    } catch (error) {
      close(here.fd);
      throw error;
    }
  }

  /** `..` in a symlink; the path is free of symlinks, so its parent is what stands before the last slash. */
  private parentOf(directory: OpenDirectory): OpenDirectory {
    const path = directory.path.slice(0, Math.max(directory.path.lastIndexOf('/'), 0));
    return { fd: this.openPath(path), path };
  }

  private childOf(
    parent: OpenDirectory,
    name: ByteString,
    create: boolean,
  ): OpenDirectory | { target: ByteString } {
    const path = childPath(parent, name);
    try {
      return { fd: openat(parent.fd, toBytes(name), DIRECTORY | OpenFlag.NoFollow), path };
    } catch (error) {
      if (isErrno(error, 'ENOTDIR', 'ELOOP')) return { target: readSymlink(parent, name, error) };
      if (!create || !isErrno(error, 'ENOENT')) throw error;
    }
    mkdirat(parent.fd, toBytes(name), 0o700);
    const created = { fd: openat(parent.fd, toBytes(name), DIRECTORY | OpenFlag.NoFollow), path };
    try {
      this.onCreate(created);
    } catch (error) {
      close(created.fd);
      throw error;
    }
    return created;
  }
}

function tooManySymlinks(components: readonly ByteString[]): SystemCallError {
  return new SystemCallError('ELOOP', 'open', printable(components.join('/')));
}

/** The path of a directory's child; throws ENAMETOOLONG where the kernel could not be given it. */
export function childPath(parent: OpenDirectory, name: ByteString): ByteString {
  const path = parent.path === '' ? name : `${parent.path}/${name}`;
  if (path.length >= PATH_MAX_BYTES) throw new SystemCallError('ENAMETOOLONG', 'open', printable(path));
  return path;
}

function replace(old: OpenDirectory, next: OpenDirectory): OpenDirectory {
  close(old.fd);
  return next;
}

/** The target, or the first error again when it is no symlink at all. */
function readSymlink(parent: OpenDirectory, name: ByteString, notADirectory: unknown): ByteString {
  try {
    return fromBytes(readlinkat(parent.fd, toBytes(name)));
  } catch (error) {
    if (isErrno(error, 'EINVAL')) throw notADirectory;
    throw error;
  }
}
