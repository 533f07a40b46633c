import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AT_FDCWD, lgetxattr, lstatat } from '@longshore/linux';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  applyHere,
  archive,
  directory,
  file,
  hardLink,
  overlayTarget,
  paxHeader,
  Scratch,
  symlink,
} from '../testing/layers.ts';

let scratch: Scratch;
let root: string;

beforeEach(() => {
  scratch = new Scratch();
  root = scratch.directory('root');
});

afterEach(() => scratch.remove());

describe('LayerExtractor', () => {
  it('follows symlinks to parents as a process would whose root this is', async () => {
    await applyHere(
      overlayTarget(root),
      await archive(
        directory('usr/lib/deep/'),
        symlink('usr/absolute', '/usr/lib'),
        symlink('usr/relative', '../usr/./lib/../lib'),
        symlink('usr/lib/above', '../../../../../usr/lib'),
        file('usr/absolute/a'),
        file('usr/relative/deep/b'),
        file('usr/absolute/above/c'),
      ),
    );
    expect(readdirSync(join(root, 'usr/lib')).toSorted()).toEqual(['a', 'above', 'c', 'deep']);
    expect(readdirSync(join(root, 'usr/lib/deep'))).toEqual(['b']);
    expect(readdirSync(join(root, 'usr')).toSorted()).toEqual(['absolute', 'lib', 'relative']);
  });

  it('creates what a dangling symlink to a parent leads to', async () => {
    await applyHere(overlayTarget(root), await archive(symlink('run', 'var/run'), file('run/lock/a')));
    expect(existsSync(join(root, 'var/run/lock/a'))).toBe(true);
    expect(statSync(join(root, 'var')).mode & 0o7777).toBe(0o755);
  });

  it('takes the symlink that replaced a directory, and the directory that replaced a symlink, from then on', async () => {
    await applyHere(
      overlayTarget(root),
      await archive(
        directory('d/'),
        directory('e/'),
        file('d/lost'),
        symlink('d', 'e'),
        file('d/in-e'),
        directory('d/'),
        file('d/in-d'),
      ),
    );
    expect(readdirSync(join(root, 'd'))).toEqual(['in-d']);
    expect(readdirSync(join(root, 'e'))).toEqual(['in-e']);
  });

  it('sets the times of directories last, and of those that are still there', async () => {
    const early = new Date(1_000_000_000_000);
    await applyHere(
      overlayTarget(root),
      await archive(
        directory('replaced/'),
        directory('kept/', { mtime: early }),
        directory('kept/inner/', { mtime: early }),
        file('kept/inner/file'),
        file('kept/file'),
        file('replaced'),
      ),
    );
    expect(statSync(join(root, 'kept')).mtime).toEqual(early);
    expect(statSync(join(root, 'kept/inner')).mtime).toEqual(early);
  });

  it('lets the last entry of a name win, whatever it is', async () => {
    await applyHere(
      overlayTarget(root),
      await archive(
        file('a', 'first'),
        file('a', '2nd', { mode: 0o600 }),
        directory('b/'),
        symlink('b', 'a'),
      ),
    );
    expect(readFileSync(join(root, 'b'), 'utf8')).toBe('2nd');
    expect(statSync(join(root, 'a')).mode & 0o7777).toBe(0o600);
  });

  it('heeds no umask', async () => {
    const umask = process.umask(0o077);
    try {
      await applyHere(
        overlayTarget(root),
        await archive(
          directory('d/', { mode: 0o1777 }),
          file('d/f', 'x', { mode: 0o4666 }),
          file('missing/f'),
        ),
      );
    } finally {
      process.umask(umask);
    }
    expect(statSync(join(root, 'd')).mode & 0o7777).toBe(0o1777);
    expect(statSync(join(root, 'd/f')).mode & 0o7777).toBe(0o4666);
    expect(statSync(join(root, 'missing')).mode & 0o7777).toBe(0o755);
  });

  it('changes a file in place of others’ hard links to it', async () => {
    writeFileSync(join(root, 'old'), 'old');
    const layer = await archive(hardLink('link', 'old'), file('old', 'new'));
    await applyHere({ kind: 'directory', path: root }, layer);
    expect(readFileSync(join(root, 'link'), 'utf8')).toBe('old');
    expect(readFileSync(join(root, 'old'), 'utf8')).toBe('new');
  });

  it('keeps capabilities and set-id bits beside the owner', async () => {
    const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
    const layer = Buffer.concat([
      paxHeader(['SCHILY.xattr.security.capability', capability]),
      await archive(file('capable', 'x', { mode: 0o755, uid: 5, gid: 6 })).then((tar) =>
        tar.subarray(0, 1024),
      ),
      await archive(
        file('set-id', 'x', { mode: 0o6755, uid: 5, gid: 6 }),
        directory('sticky/', { mode: 0o3777, uid: 5, gid: 6 }),
        { name: 'fifo', type: 'fifo', mode: 0o6622, uid: 5, gid: 6 },
      ),
    ]);
    await applyHere(overlayTarget(root), layer);
    expect(lgetxattr(join(root, 'capable'), 'security.capability')).toEqual(capability);
    for (const [name, mode] of [
      ['capable', 0o755],
      ['set-id', 0o6755],
      ['sticky', 0o3777],
      ['fifo', 0o6622],
    ] as const) {
      const status = lstatat(AT_FDCWD, join(root, name));
      expect([name, status.mode & 0o7777, status.uid, status.gid]).toEqual([name, mode, 5, 6]);
    }
  });

  it('ignores attributes of users on what cannot have them', async () => {
    const pax = { 'SCHILY.xattr.user.a': 'b', 'SCHILY.xattr.trusted.c': 'd' };
    await applyHere(overlayTarget(root), await archive({ ...symlink('s', 'x'), pax }));
    expect(lgetxattr(join(root, 's'), 'trusted.c')?.toString()).toBe('d');
  });

  it('takes times before 1970 for 1970, as containerd does', async () => {
    await applyHere(overlayTarget(root), await archive(file('f', '', { pax: { mtime: '-5.5' } })));
    expect(lstatat(AT_FDCWD, join(root, 'f')).mtime).toEqual({ seconds: 0, nanoseconds: 0 });
  });

  it('handles more directories than it keeps open', async () => {
    const open = readdirSync('/proc/self/fd').length;
    const members = Array.from({ length: 600 }, (_, index) => file(`d${index % 200}/f${index}`));
    await applyHere(overlayTarget(root), await archive(...members));
    expect(readdirSync(root)).toHaveLength(200);
    expect(readdirSync('/proc/self/fd').length).toBe(open);
  });
});
