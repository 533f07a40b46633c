import {
  closeSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeDevice } from './device-number.ts';
import { AtFlag, linkat, mkdirat, mknodat, readlinkat, symlinkat, unlinkat } from './directory-entries.ts';
import { tryFlock, unlockFlock } from './flock.ts';
import { AT_FDCWD, OpenFlag, openat } from './open.ts';
import { chownHandle, lchownat } from './ownership.ts';
import { FileType, isType, lstatat, statHandle } from './statx.ts';
import { syncFileSystem } from './sync.ts';
import { futimens, utimensat } from './timestamps.ts';
import { fsetxattr, lgetxattr, llistxattr, lremovexattr, lsetxattr } from './xattr.ts';

let scratch: string;
let dirfd: number;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'longshore-files-'));
  dirfd = openat(AT_FDCWD, scratch, OpenFlag.ReadOnly | OpenFlag.Directory);
});

afterEach(() => {
  closeSync(dirfd);
  rmSync(scratch, { recursive: true });
});

describe('directory entries', () => {
  it('are made and removed relative to a directory', () => {
    mkdirat(dirfd, 'dir', 0o700);
    symlinkat('../some where', dirfd, 'dir/link');
    expect(readlinkSync(join(scratch, 'dir/link'))).toBe('../some where');
    expect(readlinkat(dirfd, 'dir/link').toString()).toBe('../some where');
    linkat(dirfd, 'dir/link', dirfd, 'second');
    expect(lstatat(dirfd, 'second')).toMatchObject({ linkCount: 2 });
    expect(() => unlinkat(dirfd, 'dir')).toThrow(/EISDIR/);
    unlinkat(dirfd, 'dir/link');
    unlinkat(dirfd, 'dir', AtFlag.RemoveDirectory);
    expect(() => lstatat(dirfd, 'dir')).toThrow(/ENOENT.*statx 'dir'/);
  });

  it.each([
    [1, 3],
    [259, 70000],
    [4095, 1048575],
  ])('can be a device %i:%i', (major, minor) => {
    mknodat(dirfd, 'device', FileType.Character | 0o600, makeDevice(major, minor));
    expect(lstatat(dirfd, 'device')).toMatchObject({ deviceMajor: major, deviceMinor: minor });
    expect(isType(lstatat(dirfd, 'device').mode, FileType.Character)).toBe(true);
  });
});

describe('owner and times', () => {
  it('are set on a symlink itself', () => {
    writeFileSync(join(scratch, 'file'), '');
    const before = statSync(join(scratch, 'file'));
    symlinkat('file', dirfd, 'link');
    lchownat(dirfd, 'link', 1234, 4294967294);
    const mtime = { seconds: 5_000_000_000, nanoseconds: 123_456_789 };
    utimensat(dirfd, 'link', { seconds: -2, nanoseconds: 5 }, mtime);
    const status = lstatat(dirfd, 'link');
    expect(status).toMatchObject({ uid: 1234, gid: 4294967294, mtime });
    expect(status.atime).toEqual({ seconds: -2, nanoseconds: 5 });
    expect(statSync(join(scratch, 'file'))).toMatchObject({ uid: 0, mtimeMs: before.mtimeMs });
  });

  it('are set through a handle', () => {
    writeFileSync(join(scratch, 'file'), 'abc');
    const file = openSync(join(scratch, 'file'), 'r');
    const handle = openat(dirfd, 'file', OpenFlag.Path | OpenFlag.NoFollow);
    try {
      const time = { seconds: 1_700_000_000, nanoseconds: 999_999_999 };
      futimens(file, time, time);
      chownHandle(handle, 7, 8);
      expect(statHandle(handle)).toMatchObject({ uid: 7, gid: 8, sizeBytes: 3, mtime: time });
      expect(statHandle(file).inode).toBe(lstatSync(join(scratch, 'file'), { bigint: true }).ino);
    } finally {
      closeSync(file);
      closeSync(handle);
    }
  });
});

describe('extended attributes', () => {
  it('keep any bytes, on files and on symlinks', () => {
    const value = Buffer.from([0, 0xff, 0x80, 1]);
    writeFileSync(join(scratch, 'file'), '');
    symlinkat('absent', dirfd, 'link');
    lsetxattr(join(scratch, 'link'), 'trusted.mark', value);
    expect(lgetxattr(join(scratch, 'link'), 'trusted.mark')).toEqual(value);
    const fd = openSync(join(scratch, 'file'), 'r');
    try {
      fsetxattr(fd, 'user.one', value);
      fsetxattr(fd, 'user.two', Buffer.alloc(0));
    } finally {
      closeSync(fd);
    }
    expect(llistxattr(join(scratch, 'file')).toSorted()).toEqual(['user.one', 'user.two']);
    expect(lgetxattr(join(scratch, 'file'), 'user.two')).toEqual(Buffer.alloc(0));
    lremovexattr(join(scratch, 'file'), 'user.one');
    expect(lgetxattr(join(scratch, 'file'), 'user.one')).toBeUndefined();
    expect(() => lsetxattr(join(scratch, 'file'), 'nonsense', value)).toThrow(/ENOTSUP/);
  });
});

describe('flock', () => {
  it('is held by one open file at a time and ends with it', () => {
    const path = join(scratch, 'lock');
    const [first, second] = [openSync(path, 'w'), openSync(path, 'w')];
    expect(tryFlock(first, 'exclusive')).toBe(true);
    expect(tryFlock(second, 'exclusive')).toBe(false);
    unlockFlock(first);
    expect(tryFlock(second, 'shared')).toBe(true);
    expect(tryFlock(first, 'shared')).toBe(true);
    expect(tryFlock(first, 'exclusive')).toBe(false);
    closeSync(second);
    expect(tryFlock(first, 'exclusive')).toBe(true);
    closeSync(first);
  });
});

describe('syncFileSystem', () => {
  it('syncs the file system of a path, and says which path is missing', async () => {
    await syncFileSystem(scratch);
    await expect(syncFileSystem(join(scratch, 'absent'))).rejects.toThrow(/ENOENT.*absent/);
  });
});
