import { readSync } from 'node:fs';
import {
  close,
  type FileStatus,
  FileType,
  isErrno,
  isType,
  OpenFlag,
  openat,
  readlinkat,
  statHandle,
} from '@longshore/linux';
import { type ByteString, fromBytes, toBytes } from '../tar/byte-string.ts';
import type { TarEntryType } from '../tar/tar-entry.ts';
import { END_OF_ARCHIVE, encodeHeader, type NewMember, paddingOf } from '../tar/tar-writer.ts';
import { type Change, changedMeanwhile, type Directory, pathOf } from './changes.ts';
import { layerXattrs, type Xattr } from './tree.ts';

/** Another name of a file that may turn out to have changed. */
interface OtherName {
  directory: Directory;
  path: ByteString;
}

const WHITEOUT_PREFIX = '.wh.';
const CHUNK_BYTES = 128 * 1024;
const CONTENT = OpenFlag.ReadOnly | OpenFlag.NoFollow | OpenFlag.NonBlock;

const TYPES: ReadonlyMap<number, TarEntryType> = new Map([
  [FileType.Regular, 'file'],
  [FileType.Directory, 'directory'],
  [FileType.Symlink, 'symlink'],
  [FileType.Character, 'character-device'],
  [FileType.Block, 'block-device'],
  [FileType.Fifo, 'fifo'],
]);

/**
 * Writes changes as the archive of a layer: the directories that lead to them too, whiteouts for what is gone, a file
 * with several names once. Times have whole seconds, none but that of modification; sockets are left out. The same
 * changes give the same bytes, and those that containerd writes. Source: containerd pkg/archive/tar.go ChangeWriter.
 */
export class LayerArchive {
  private readonly maxMtimeSeconds: number;
  private readonly listed = new Set<ByteString>();
  private readonly firstNames = new Map<string, ByteString>();
  private readonly otherNames = new Map<string, OtherName[]>();

  /** `maxMtimeSeconds` is what later times become; Infinity for none. */
  constructor(maxMtimeSeconds: number) {
    this.maxMtimeSeconds = maxMtimeSeconds;
  }

  /** The change's bytes, each chunk valid for as long as nobody changes it: none is used twice. */
  *add(change: Change): Generator<Buffer> {
    const { directory, name } = change;
    const path = pathOf(directory, name);
    if (change.kind === 'removed') {
      yield* this.parents(directory);
      yield encodeHeader(whiteoutOf(pathOf(directory, `${WHITEOUT_PREFIX}${name}`)));
      return;
    }
    const { status } = change;
    const type = TYPES.get(status.mode & FileType.Mask);
    if (!type) return; // a socket
    if (type === 'directory') {
      yield* this.parents(directory);
      this.listed.add(path);
      yield encodeHeader(this.memberOf(`${path}/`, type, status, layerXattrs(directory.fd, name)));
      return;
    }
    const inode = status.linkCount > 1 ? `${status.device} ${status.inode}` : undefined;
    const first = inode && this.firstNames.get(inode);
    if (first !== undefined) {
      yield* this.link(directory, path, first, status, layerXattrs(directory.fd, name));
      return;
    }
    if (change.kind === 'unchanged') {
      this.remember(inode!, { directory, path });
      return;
    }
    yield* this.parents(directory);
    const xattrs = layerXattrs(directory.fd, name);
    yield* type === 'file'
      ? this.file(directory, name, path, status, xattrs)
      : [encodeHeader(this.special(directory, name, path, type, status, xattrs))];
    if (inode) yield* this.linksTo(inode, path, status, xattrs);
  }

  /** The end of the archive. */
  *finish(): Generator<Buffer> {
    yield Buffer.from(END_OF_ARCHIVE);
  }

  /** The directories on the way, but for the root and those that are listed. */
  private *parents(directory: Directory): Generator<Buffer> {
    const { path, parent } = directory;
    if (!parent || this.listed.has(path)) return;
    yield* this.parents(parent);
    this.listed.add(path);
    yield encodeHeader(this.memberOf(`${path}/`, 'directory', directory.status, directory.xattrs()));
  }

  private *file(
    directory: Directory,
    name: ByteString,
    path: ByteString,
    seen: FileStatus,
    xattrs: readonly Xattr[],
  ): Generator<Buffer> {
    const fd = openSame(directory.fd, name, path);
    try {
      const status = statHandle(fd);
      if (!isType(status.mode, FileType.Regular) || status.inode !== seen.inode) throw changedMeanwhile(path);
      const { sizeBytes } = status;
      yield encodeHeader({ ...this.memberOf(path, 'file', status, xattrs), sizeBytes });
      // What is appended meanwhile is not of this layer.
      for (let done = 0; done < sizeBytes; ) {
        const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, sizeBytes - done));
        const read = readSync(fd, chunk, 0, chunk.length, done);
        if (read === 0) throw changedMeanwhile(path);
        done += read;
        yield chunk.subarray(0, read);
      }
      yield paddingOf(sizeBytes);
    } finally {
      close(fd);
    }
  }

  private special(
    directory: Directory,
    name: ByteString,
    path: ByteString,
    type: TarEntryType,
    status: FileStatus,
    xattrs: readonly Xattr[],
  ): NewMember {
    const { deviceMajor: major, deviceMinor: minor } = status;
    const linkName = type === 'symlink' ? fromBytes(readlinkat(directory.fd, toBytes(name))) : '';
    return { ...this.memberOf(path, type, status, xattrs), linkName, major, minor };
  }

  private *link(
    directory: Directory,
    path: ByteString,
    linkName: ByteString,
    status: FileStatus,
    xattrs: readonly Xattr[],
  ): Generator<Buffer> {
    yield* this.parents(directory);
    yield encodeHeader({ ...this.memberOf(path, 'hard-link', status, xattrs), linkName });
  }

  /** Names that came earlier, of a file that has changed by another name: they are links to it from now on. */
  private *linksTo(
    inode: string,
    path: ByteString,
    status: FileStatus,
    xattrs: readonly Xattr[],
  ): Generator<Buffer> {
    this.firstNames.set(inode, path);
    for (const other of this.otherNames.get(inode) ?? []) {
      yield* this.link(other.directory, other.path, path, status, xattrs);
    }
    this.otherNames.delete(inode);
  }

  private remember(inode: string, other: OtherName): void {
    // Their attributes can be read now only.
    for (let one: Directory | undefined = other.directory; one?.parent; one = one.parent) one.xattrs();
    const names = this.otherNames.get(inode);
    if (names) names.push(other);
    else this.otherNames.set(inode, [other]);
  }

  private memberOf(
    name: ByteString,
    type: TarEntryType,
    status: FileStatus,
    xattrs: readonly Xattr[],
  ): NewMember {
    const { mode, uid, gid, mtime } = status;
    const mtimeSeconds = Math.min(mtime.seconds, this.maxMtimeSeconds);
    const none = { sizeBytes: 0, linkName: '', major: 0, minor: 0 };
    return { ...none, name, type, mode: mode & 0o7777, uid, gid, mtimeSeconds, xattrs };
  }
}

/** Nobody's, of no time. */
function whiteoutOf(name: ByteString): NewMember {
  const none = { mode: 0, uid: 0, gid: 0, sizeBytes: 0, mtimeSeconds: 0, linkName: '', major: 0, minor: 0 };
  return { ...none, name, type: 'file', xattrs: [] };
}

/** Opens the file itself: nothing that may have taken its place is waited for or followed. */
function openSame(directory: number, name: ByteString, path: ByteString): number {
  try {
    return openat(directory, toBytes(name), CONTENT);
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ELOOP', 'ENXIO')) throw error;
    throw changedMeanwhile(path);
  }
}
