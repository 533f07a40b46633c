import { closeSync, constants, fstatSync, openSync, readlinkSync, readSync } from 'node:fs';
import { failedPrecondition, notFound } from '@longshore/errors';

/** A handle on the name only: opens no device and waits for no FIFO. Source: open(2). */
const O_PATH = 0o10000000;

/** As many as Linux follows. */
const MAX_SYMLINKS = 40;

/**
 * Reads a file of a root file system as a process would whose root directory it is: symlinks, absolute ones and `..` stay
 * inside, also while somebody changes them. Undefined when there is no such file. Throws NotFound for a root that is no
 * directory; FailedPrecondition for what is no regular file, is larger than `maxBytes`, or is behind too many symlinks.
 */
export function readRootfsFile(rootfs: string, path: string, maxBytes: number): Buffer | undefined {
  const walk = new RootfsWalk(openRoot(rootfs));
  try {
    return readRegular(walk.follow(path), path, maxBytes);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  } finally {
    walk.close();
  }
}

function openRoot(rootfs: string): number {
  try {
    return openSync(rootfs, O_PATH | constants.O_DIRECTORY);
  } catch (error) {
    throw isAbsent(error) ? notFound(`directory ${JSON.stringify(rootfs)}`, { cause: error }) : error;
  }
}

function isAbsent(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** Opens one name after another, each below the directory that is held open and none through a symlink. */
class RootfsWalk {
  /** From the root directory to where the walk is. */
  readonly #trail: number[];

  constructor(rootFd: number) {
    this.#trail = [rootFd];
  }

  /** A descriptor of this walk's, to what the path leads to. */
  follow(path: string): number {
    const pending = path.split('/');
    for (let symlinks = 0; ; ) {
      const name = pending.shift();
      if (name === undefined) return this.#trail.at(-1)!;
      if (name === '' || name === '.') continue;
      if (name === '..') {
        // The root directory is its own parent.
        this.#leave(Math.max(1, this.#trail.length - 1));
        continue;
      }
      const target = this.#enter(name);
      if (target === undefined) continue;
      if (++symlinks > MAX_SYMLINKS) throw failedPrecondition(`file "${path}" is behind too many symlinks`);
      if (target.startsWith('/')) this.#leave(1);
      pending.unshift(...target.split('/'));
    }
  }

  close(): void {
    this.#leave(0);
  }

  /** Goes on to `name`; to a symlink it does not, and answers its target. */
  #enter(name: string): string | undefined {
    const path = `/proc/self/fd/${this.#trail.at(-1)}/${name}`;
    const fd = openSync(path, O_PATH | constants.O_NOFOLLOW);
    this.#trail.push(fd);
    if (!fstatSync(fd).isSymbolicLink()) return undefined;
    this.#leave(this.#trail.length - 1);
    return readlinkSync(path);
  }

  /** Closes what is beyond the first `keep`. */
  #leave(keep: number): void {
    for (const fd of this.#trail.splice(keep)) closeSync(fd);
  }
}

function readRegular(pathFd: number, path: string, maxBytes: number): Buffer {
  const stats = fstatSync(pathFd);
  if (!stats.isFile()) throw failedPrecondition(`file "${path}" is no regular file`);
  if (stats.size > maxBytes) {
    throw failedPrecondition(`file "${path}" has ${stats.size} bytes, more than ${maxBytes}`);
  }
  const fd = openSync(`/proc/self/fd/${pathFd}`, constants.O_RDONLY);
  try {
    const bytes = Buffer.alloc(stats.size);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = readSync(fd, bytes, length, bytes.length - length, null);
    }
    return bytes.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}
