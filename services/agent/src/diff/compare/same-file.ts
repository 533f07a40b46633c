import { readSync } from 'node:fs';
import { close, type FileStatus, FileType, isType, OpenFlag, openat, readlinkat } from '@longshore/linux';
import { type ByteString, toBytes } from '../tar/byte-string.ts';
import { layerXattrs } from './tree.ts';

/** One name in one of the trees that are compared. */
export interface Located {
  directory: number;
  name: ByteString;
  status: FileStatus;
}

const CHUNK_BYTES = 128 * 1024;
const CONTENT = OpenFlag.ReadOnly | OpenFlag.NoFollow | OpenFlag.NonBlock;

/**
 * Whether a file is in both trees the same. By its status alone, as with containerd, but where a time has lost its
 * fraction in an archive: then by its bytes. `checkStop` is called now and then, to throw.
 * Source: containerd/continuity fs/path.go.
 */
export function isSameFile(before: Located, after: Located, checkStop: () => void): boolean {
  const [a, b] = [before.status, after.status];
  if (a.inode === b.inode && a.device === b.device) return true;
  if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return false;
  if (a.deviceMajor !== b.deviceMajor || a.deviceMinor !== b.deviceMinor) return false;
  if (!haveSameXattrs(before, after)) return false;
  if (isType(a.mode, FileType.Directory)) return true;
  if (a.sizeBytes !== b.sizeBytes || a.mtime.seconds !== b.mtime.seconds) return false;
  if (a.mtime.nanoseconds !== 0 && b.mtime.nanoseconds !== 0) {
    return a.mtime.nanoseconds === b.mtime.nanoseconds;
  }
  if (isType(a.mode, FileType.Symlink)) return targetOf(before).equals(targetOf(after));
  if (isType(a.mode, FileType.Regular)) return haveSameContent(before, after, checkStop);
  return true;
}

function haveSameXattrs(a: Located, b: Located): boolean {
  const [these, those] = [layerXattrs(a.directory, a.name), layerXattrs(b.directory, b.name)];
  return (
    these.length === those.length &&
    these.every(([name, value], index) => name === those[index]![0] && value.equals(those[index]![1]))
  );
}

function targetOf({ directory, name }: Located): Buffer {
  return readlinkat(directory, toBytes(name));
}

function haveSameContent(a: Located, b: Located, checkStop: () => void): boolean {
  if (a.status.sizeBytes === 0) return true;
  const open: number[] = [];
  try {
    for (const { directory, name } of [a, b]) open.push(openat(directory, toBytes(name), CONTENT));
    const [fdA, fdB] = open as [number, number];
    const [chunkA, chunkB] = [Buffer.allocUnsafe(CHUNK_BYTES), Buffer.allocUnsafe(CHUNK_BYTES)];
    for (let position = 0; ; ) {
      checkStop();
      const readA = readSync(fdA, chunkA, 0, CHUNK_BYTES, position);
      const readB = readSync(fdB, chunkB, 0, CHUNK_BYTES, position);
      if (readA !== readB || chunkA.compare(chunkB, 0, readB, 0, readA) !== 0) return false;
      if (readA === 0) return true;
      position += readA;
    }
  } finally {
    for (const fd of open) close(fd);
  }
}
