import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readRootfsFile } from './rootfs-file.ts';
import { rootfsUserFiles } from './rootfs-user-files.ts';

const MAX_BYTES = 1000;
let base: string;
let rootfs: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'rootfs-'));
  rootfs = join(base, 'root');
  mkdirSync(join(rootfs, 'etc'), { recursive: true });
  mkdirSync(join(base, 'etc'));
  writeFileSync(join(base, 'etc', 'passwd'), 'outside');
  writeFileSync(join(base, 'secret'), 'outside');
});
afterEach(() => rmSync(base, { recursive: true }));

const put = (path: string, text: string) => writeFileSync(join(rootfs, path), text);
const link = (path: string, target: string) => symlinkSync(target, join(rootfs, path));
const read = (path = 'etc/passwd') => readRootfsFile(rootfs, path, MAX_BYTES)?.toString();

describe('readRootfsFile', () => {
  it('reads a file, and says when there is none', () => {
    expect(read()).toBeUndefined();
    put('etc/passwd', 'inside');
    expect(read()).toBe('inside');
    expect(read('etc/passwd/more')).toBeUndefined();
    expect(read('nowhere/passwd')).toBeUndefined();
  });

  it('follows symlinks, absolute and relative, of files and directories, inside the root', () => {
    mkdirSync(join(rootfs, 'store', 'v1'), { recursive: true });
    put('store/v1/users', 'inside');
    link('store/current', '/store/v1');
    link('etc/passwd', '../store/current/users');
    expect(read()).toBe('inside');
  });

  it.each([
    ['an absolute path of the machine', () => join(base, 'secret')],
    ['its parents', () => '../../secret'],
    ['its parent by a path that comes back', () => '../etc/../../secret'],
  ])('does not leave by %s', (_, target) => {
    link('etc/passwd', target());
    expect(read()).toBeUndefined();
  });

  it('takes the root for its own parent, also for a directory that leads out', () => {
    rmSync(join(rootfs, 'etc'), { recursive: true });
    link('etc', '../etc');
    expect(() => read()).toThrow('too many symlinks');
    rmSync(join(rootfs, 'etc'));
    link('etc', base);
    expect(read()).toBeUndefined();
  });

  it('refuses what is no regular file, without waiting for it', () => {
    execFileSync('mkfifo', [join(rootfs, 'etc', 'passwd')]);
    expect(() => read()).toThrow('file "etc/passwd" is no regular file');
    expect(() => read('etc')).toThrow('no regular file');
    link('etc/tty', '/proc/self/root');
    expect(read('etc/tty')).toBeUndefined();
  });

  it('refuses a file that is too large', () => {
    put('etc/passwd', '');
    truncateSync(join(rootfs, 'etc', 'passwd'), 2 ** 40);
    expect(() => read()).toThrow('more than 1000');
  });

  it('holds nothing open', () => {
    put('etc/passwd', 'inside');
    link('etc/loop', 'loop');
    const open = () => readdirSync('/proc/self/fd').length;
    const before = open();
    for (let i = 0; i < 50; i++) {
      read();
      read('etc/none');
      expect(() => read('etc/loop')).toThrow('too many symlinks');
    }
    expect(open()).toBe(before);
  });
});

describe('rootfsUserFiles', () => {
  it('reads both files', () => {
    put('etc/group', 'root:x:0:');
    const files = rootfsUserFiles(rootfs);
    expect([files.passwd(), files.group()]).toEqual([undefined, 'root:x:0:']);
    expect(() => rootfsUserFiles(join(base, 'gone')).passwd()).toThrow('not found');
  });
});
