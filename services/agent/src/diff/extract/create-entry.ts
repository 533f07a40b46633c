import {
  FileType,
  isErrno,
  isType,
  linkat,
  lstatat,
  MAX_MAJOR,
  MAX_MINOR,
  makeDevice,
  mkdirat,
  mknodat,
  OpenFlag,
  openat,
  symlinkat,
} from '@longshore/linux';
import { archiveError } from '../tar/archive-error.ts';
import { type ByteString, toBytes } from '../tar/byte-string.ts';
import type { TarEntry } from '../tar/tar-entry.ts';
import { cleanPath } from './clean-path.ts';
import type { LayerRoot, OpenDirectory } from './layer-root.ts';
import { isWhiteout } from './overlay-whiteouts.ts';
import { removeEntry } from './remove-entry.ts';

/** Where an entry is made: a name in a directory of a root. */
export interface Place {
  root: LayerRoot;
  directory: OpenDirectory;
  name: ByteString;
}

const NEW_FILE = OpenFlag.WriteOnly | OpenFlag.Create | OpenFlag.Exclusive | OpenFlag.NoFollow;
const DIRECTORY = OpenFlag.ReadOnly | OpenFlag.Directory | OpenFlag.NoFollow;

/** What others may do with a file while it is incomplete: nothing. */
const INCOMPLETE_FILE = 0o600;
const INCOMPLETE_DIRECTORY = 0o700;

/** A new, empty file, open for writing, in place of whatever had the name. To be closed. */
export function createFile(place: Place): number {
  return replacing(place, () => openat(place.directory.fd, toBytes(place.name), NEW_FILE, INCOMPLETE_FILE));
}

/** A directory, open: the one that is there, or a new one in place of what is no directory. To be closed. */
export function createDirectory(place: Place): { fd: number; replacedWhiteout: boolean } {
  const { directory, name } = place;
  const bytes = toBytes(name);
  let replacedWhiteout = false;
  try {
    mkdirat(directory.fd, bytes, INCOMPLETE_DIRECTORY);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    const existing = openIfDirectory(directory.fd, bytes);
    if (existing !== undefined) return { fd: existing, replacedWhiteout };
    replacedWhiteout = isWhiteout(directory.fd, bytes);
    replacing(place, () => mkdirat(directory.fd, bytes, INCOMPLETE_DIRECTORY));
  }
  return { fd: openat(directory.fd, bytes, DIRECTORY), replacedWhiteout };
}

export function createSymlink(place: Place, entry: TarEntry): void {
  replacing(place, () => symlinkat(toBytes(entry.linkName), place.directory.fd, toBytes(place.name)));
}

/** The target is a path from the root; a symlink at its end is linked itself. */
export function createHardLink(place: Place, entry: TarEntry): void {
  const { root, directory } = place;
  const components = cleanPath(entry.linkName);
  const targetName = components.pop();
  if (targetName === undefined) throw archiveError('hard link to the root');
  const source = root.findDirectory(components);
  const [from, to] = [toBytes(targetName), toBytes(place.name)];
  replacing(place, () => {
    try {
      linkat(source.fd, from, directory.fd, to);
    } catch (error) {
      // Linked already, or to itself: replacing it would lose the file.
      if (isErrno(error, 'EEXIST') && isSameFile(source.fd, from, directory.fd, to)) return;
      if (isErrno(error, 'EPERM') && isType(lstatat(source.fd, from).mode, FileType.Directory))
        throw archiveError('hard link to a directory');
      throw error;
    }
  });
}

const DEVICE_TYPES = {
  'character-device': FileType.Character,
  'block-device': FileType.Block,
  fifo: FileType.Fifo,
} as const;

/** A device or a pipe; it is made and never opened. */
export function createSpecial(place: Place, entry: TarEntry, type: keyof typeof DEVICE_TYPES): void {
  const { major, minor } = entry;
  if (major < 0 || major > MAX_MAJOR || minor < 0 || minor > MAX_MINOR) {
    throw archiveError(`device ${major}:${minor} is beyond what Linux has`);
  }
  const mode = DEVICE_TYPES[type] | INCOMPLETE_FILE;
  const device = type === 'fifo' ? 0 : makeDevice(major, minor);
  replacing(place, () => mknodat(place.directory.fd, toBytes(place.name), mode, device));
}

/** Runs `make`; where the name is taken, removes what has it, with all that is in it, and runs `make` again. */
function replacing<T>({ root, directory, name }: Place, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  }
  removeEntry(directory.fd, name);
  root.forget();
  return make();
}

function openIfDirectory(directory: number, name: Buffer): number | undefined {
  try {
    return openat(directory, name, DIRECTORY);
  } catch (error) {
    if (isErrno(error, 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
}

function isSameFile(directoryA: number, nameA: Buffer, directoryB: number, nameB: Buffer): boolean {
  const a = lstatat(directoryA, nameA);
  const b = lstatat(directoryB, nameB);
  return a.inode === b.inode && a.device === b.device;
}
