import { LongshoreError } from '@longshore/errors';
import { close, type FileStatus, FileType, isType, SystemCallError } from '@longshore/linux';
import { type ByteString, printable } from '../tar/byte-string.ts';
import { isSameFile } from './same-file.ts';
import { directoryXattrNames, layerXattrs, namesIn, openDirectory, statusOf, type Xattr } from './tree.ts';

/** A directory of the upper tree that is being walked. */
export interface Directory {
  /** From the root, without a slash in front; empty for the root. */
  path: ByteString;
  /** Open until the walk of it is over. */
  fd: number;
  /** Undefined for the root. */
  parent: Directory | undefined;
  status: FileStatus;
  /** To be asked for while it is open; it is kept from then on. */
  xattrs(): Xattr[];
}

/** What one tree has over the other, in the order in which a layer lists it. `directory` is that of the upper tree. */
export type Change =
  | { kind: 'removed'; directory: Directory; name: ByteString }
  | { kind: 'changed' | 'unchanged'; directory: Directory; name: ByteString; status: FileStatus };

/** Roots of the trees, open. */
export interface Trees {
  lower: number;
  upper: number;
  /**
   * Where the upper tree is an overlay on top of the lower one: the directory that it adds. What is not in there has
   * not changed, and is not looked at.
   */
  added: number | undefined;
}

/** Longest path that the kernel takes, NUL included. */
const PATH_MAX_BYTES = 4096;

/** Directories that overlayfs does not show merged with the one below, or shows another one's content in. */
const NOT_MERGED = /^(trusted|user)\.overlay\.(opaque|redirect)$/;

/**
 * Walks two trees at once, by the bytes of the names. Of a directory that is gone only itself is told; of one that
 * something else has replaced, nothing of what was in it. `unchanged` are files with several names only, since another
 * name of the same file may follow that has changed. Throws what `checkStop` throws, and Aborted where the upper tree
 * changes meanwhile. Source: containerd/continuity fs/diff.go.
 */
export function* changesBetween({ lower, upper, added }: Trees, checkStop: () => void): Generator<Change> {
  const merged = added !== undefined && isMerged(added) ? added : undefined;
  const root = directoryOf('', upper, undefined, statusOf(upper, '.')!);
  yield* walk({ lower, directory: root, added: merged }, checkStop);
}

/** Says that a tree is being written to. A retry may succeed. */
export function changedMeanwhile(path: ByteString): LongshoreError {
  return new LongshoreError('Aborted', `file ${printable(path)} has changed while it was read`);
}

/** One directory in both trees. `added` only with `lower`. */
interface Step {
  lower: number | undefined;
  directory: Directory;
  added: number | undefined;
}

function* walk(step: Step, checkStop: () => void): Generator<Change> {
  const { lower, directory } = step;
  for (const name of namesToCompare(step)) {
    checkStop();
    const before = lower === undefined ? undefined : statusOf(lower, name);
    const after = statusOf(directory.fd, name);
    if (!after) {
      if (before) yield { kind: 'removed', directory, name };
      continue;
    }
    const here = { directory: directory.fd, name, status: after };
    const same =
      lower !== undefined &&
      before !== undefined &&
      isSameFile({ directory: lower, name, status: before }, here, checkStop);
    const isDirectory = isType(after.mode, FileType.Directory);
    if (!same) yield { kind: 'changed', directory, name, status: after };
    else if (!isDirectory && after.linkCount > 1) yield { kind: 'unchanged', directory, name, status: after };
    if (isDirectory) {
      const wasDirectory = before !== undefined && isType(before.mode, FileType.Directory);
      yield* descend(step, name, after, wasDirectory, checkStop);
    }
  }
}

function* descend(
  { lower, directory, added }: Step,
  name: ByteString,
  status: FileStatus,
  wasDirectory: boolean,
  checkStop: () => void,
): Generator<Change> {
  const path = pathOf(directory, name);
  const open: number[] = [];
  const opened = (parent: number | undefined): number | undefined => {
    const fd = parent === undefined ? undefined : openDirectory(parent, name);
    if (fd !== undefined) open.push(fd);
    return fd;
  };
  try {
    const fd = opened(directory.fd);
    if (fd === undefined) throw changedMeanwhile(path);
    const below = wasDirectory ? opened(lower) : undefined;
    const addedHere = below === undefined ? undefined : opened(added);
    const merged = addedHere !== undefined && isMerged(addedHere) ? addedHere : undefined;
    yield* walk(
      { lower: below, directory: directoryOf(path, fd, directory, status), added: merged },
      checkStop,
    );
  } finally {
    for (const fd of open) close(fd);
  }
}

/** The path of what is in a directory; throws ENAMETOOLONG where no layer could be unpacked again. */
export function pathOf({ path }: Directory, name: ByteString): ByteString {
  const child = path === '' ? name : `${path}/${name}`;
  if (child.length >= PATH_MAX_BYTES) throw new SystemCallError('ENAMETOOLONG', 'open', printable(child));
  return child;
}

function directoryOf(
  path: ByteString,
  fd: number,
  parent: Directory | undefined,
  status: FileStatus,
): Directory {
  let known: Xattr[] | undefined;
  return { path, fd, parent, status, xattrs: () => (known ??= layerXattrs(fd, '.')) };
}

function namesToCompare({ lower, directory, added }: Step): ByteString[] {
  if (added !== undefined) return namesIn(added);
  const names = namesIn(directory.fd);
  return lower === undefined ? names : [...new Set([...names, ...namesIn(lower)])].sort();
}

function isMerged(added: number): boolean {
  return !directoryXattrNames(added).some((name) => NOT_MERGED.test(name));
}
