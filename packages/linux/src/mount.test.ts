import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mount, mountAll, unmount, unmountRecursive } from './mount.ts';
import { readMountInfo } from './mount-info.ts';
import { MountFlag } from './mount-options.ts';

let scratch: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'longshore mount-'));
});

afterEach(async () => {
  await unmountRecursive(scratch);
  expect(mountsBelow(scratch)).toEqual([]);
  rmSync(scratch, { recursive: true });
});

function directory(...path: string[]): string {
  const name = join(scratch, ...path);
  mkdirSync(name, { recursive: true });
  return name;
}

function mountsBelow(path: string) {
  return readMountInfo().filter(({ mountPoint }) => mountPoint === path || mountPoint.startsWith(`${path}/`));
}

const tmpfs = { type: 'tmpfs', source: 'tmpfs' };

describe('mount', () => {
  it('mounts with flags and data, and unmount takes it away', async () => {
    const target = directory('target');
    await mount('tmpfs', target, 'tmpfs', MountFlag.NoSuid | MountFlag.NoExec, 'size=64k');
    const [info] = mountsBelow(target);
    expect(info).toMatchObject({ type: 'tmpfs', mountPoint: target });
    expect(info?.options).toEqual(expect.arrayContaining(['rw', 'nosuid', 'noexec']));
    expect(info?.superOptions).toContain('size=64k');
    await unmount(target);
    expect(mountsBelow(target)).toEqual([]);
  });

  it('names call, source, target and code of a failure', async () => {
    await expect(mount('none', join(scratch, 'absent'), 'tmpfs', 0, '')).rejects.toMatchObject({
      code: 'ENOENT',
      syscall: 'mount',
      message: `ENOENT: no such file or directory, mount 'none' -> '${join(scratch, 'absent')}'`,
    });
    await expect(unmount(scratch)).rejects.toMatchObject({ code: 'EINVAL', syscall: 'umount2' });
  });

  it('refuses options that the kernel would cut at a page', async () => {
    const lowers = Array.from({ length: 200 }, (_, index) => `/some/rather/long/directory/${index}`).join(
      ':',
    );
    await expect(mount('overlay', directory('t'), 'overlay', 0, `lowerdir=${lowers}`)).rejects.toThrow(
      /exceed a page/,
    );
  });
});

describe('mountAll', () => {
  it('makes a bind mount read-only, which takes a second call', async () => {
    const source = directory('source');
    writeFileSync(join(source, 'file'), 'content');
    const target = directory('target');
    await mountAll([{ type: 'bind', source, options: ['rbind', 'ro', 'nodev'] }], target);
    expect(readFileSync(join(target, 'file'), 'utf8')).toBe('content');
    expect(() => writeFileSync(join(target, 'file'), 'other')).toThrow(/EROFS/);
    expect(mountsBelow(target)[0]?.options).toEqual(expect.arrayContaining(['ro', 'nodev']));
    writeFileSync(join(source, 'file'), 'still writable here');
  });

  it('mounts an overlay whose upper directory takes the writes', async () => {
    const [lower, upper, work, target] = ['lower', 'upper', 'work', 'target'].map((name) => directory(name));
    writeFileSync(join(lower!, 'below'), 'from below');
    const options = [`workdir=${work}`, `upperdir=${upper}`, `lowerdir=${lower}`];
    await mountAll([{ type: 'overlay', source: 'overlay', options }], target!);
    expect(readFileSync(join(target!, 'below'), 'utf8')).toBe('from below');
    writeFileSync(join(target!, 'new'), 'written');
    expect(readFileSync(join(upper!, 'new'), 'utf8')).toBe('written');
  });

  it('maps the owners of a bind mount, there alone', async () => {
    const source = directory('source');
    writeFileSync(join(source, 'file'), '');
    chownSync(join(source, 'file'), 3, 4);
    const target = directory('target');
    const options = ['uidmap=0:1000:10', 'gidmap=0:2000:10', 'rbind', 'ro'];
    await mountAll([{ type: 'bind', source, options }], target);
    expect(statSync(join(target, 'file'))).toMatchObject({ uid: 1003, gid: 2004 });
    expect(statSync(join(source, 'file'))).toMatchObject({ uid: 3, gid: 4 });
    expect(() => writeFileSync(join(target, 'file'), 'other')).toThrow(/EROFS/);
  });

  it('maps the owners of what lies below the upper directory of an overlay, and leaves no mount beside it', async () => {
    const [lower, second, upper, work, target] = ['lower', 'second', 'upper', 'work', 'target'].map((name) =>
      directory(name),
    );
    for (const path of [lower!, second!]) writeFileSync(join(path, basename(path)), '');
    chownSync(join(second!, 'second'), 3, 4);
    const lowers = `lowerdir=${lower}:${second}`;
    const mapped = ['uidmap=0:1000:10', 'gidmap=0:2000:10'];
    const options = [...mapped, `workdir=${work}`, `upperdir=${upper}`, lowers];
    await mountAll([{ type: 'overlay', source: 'overlay', options }], target!);
    expect(statSync(join(target!, 'lower'))).toMatchObject({ uid: 1000, gid: 2000 });
    expect(statSync(join(target!, 'second'))).toMatchObject({ uid: 1003, gid: 2004 });
    expect(readMountInfo().filter(({ root }) => root.includes(basename(scratch)))).toEqual([]);
  });

  it.each(['0:1000', '0:1000:0', 'all'])('refuses ids mapped by %s', async (mapping) => {
    const options = [`uidmap=${mapping}`, `gidmap=${mapping}`, 'rbind'];
    const mounts = [{ type: 'bind', source: directory('source'), options }];
    await expect(mountAll(mounts, directory('target'))).rejects.toMatchObject({ kind: 'InvalidArgument' });
    expect(mountsBelow(scratch)).toEqual([]);
  });

  it('sets propagation in a call of its own', async () => {
    const target = directory('target');
    await mountAll([{ ...tmpfs, options: ['rshared', 'mode=755'] }], target);
    expect(mountsBelow(target)[0]?.tags.join()).toMatch(/shared:/);
  });

  it('mounts on a target inside what was mounted before', async () => {
    const target = directory('target');
    const first = directory('first');
    mkdirSync(join(first, 'inner'));
    await mountAll(
      [
        { type: 'bind', source: first, options: ['rbind'] },
        { ...tmpfs, target: '/inner', options: [] },
      ],
      target,
    );
    expect(mountsBelow(target).map(({ mountPoint }) => mountPoint)).toEqual([target, join(target, 'inner')]);
  });

  it('follows no symlink out of the target directory', async () => {
    const outside = directory('outside');
    const first = directory('first');
    symlinkSync(outside, join(first, 'way-out'));
    const mounts = [
      { type: 'bind', source: first, options: ['rbind'] },
      { ...tmpfs, target: 'way-out', options: [] },
    ];
    await expect(mountAll(mounts, directory('target'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(mountsBelow(scratch)).toEqual([]);
  });

  it('undoes the first mount when the second fails', async () => {
    const target = directory('target');
    const mounts = [
      { ...tmpfs, options: [] },
      { type: 'no-such-type', source: 'none', options: [] },
    ];
    await expect(mountAll(mounts, target)).rejects.toMatchObject({ code: 'ENODEV' });
    expect(mountsBelow(target)).toEqual([]);
  });
});

describe('unmountRecursive', () => {
  it('unmounts stacked and nested mounts', async () => {
    const top = directory('top');
    await mount('tmpfs', top, 'tmpfs', 0, '');
    await mount('tmpfs', directory('top', 'inner'), 'tmpfs', 0, '');
    await mount('tmpfs', join(top, 'inner'), 'tmpfs', 0, '');
    await mount('tmpfs', directory('top', 'inner', 'deep one'), 'tmpfs', 0, '');
    const neighbour = directory('top-not-below');
    await mount('tmpfs', neighbour, 'tmpfs', 0, '');
    await unmountRecursive(top);
    expect(mountsBelow(top)).toEqual([]);
    expect(mountsBelow(neighbour)).toHaveLength(1);
  });

  it('detaches a busy mount, whose open files live on', async () => {
    const target = directory('target');
    await mount('tmpfs', target, 'tmpfs', 0, '');
    writeFileSync(join(target, 'busy'), 'open');
    const fd = openSync(join(target, 'busy'), 'r');
    try {
      await unmountRecursive(target);
      expect(mountsBelow(target)).toEqual([]);
      expect(readFileSync(fd, 'utf8')).toBe('open');
      expect(existsSync(join(target, 'busy'))).toBe(false);
    } finally {
      closeSync(fd);
    }
  });

  it('finds mounts by the real path of a symlink, and accepts a path that is not there', async () => {
    const target = directory('target');
    symlinkSync(target, join(scratch, 'link'));
    await mount('tmpfs', target, 'tmpfs', 0, '');
    await unmountRecursive(join(scratch, 'link'));
    expect(mountsBelow(target)).toEqual([]);
    await unmountRecursive(join(scratch, 'absent'));
  });
});
