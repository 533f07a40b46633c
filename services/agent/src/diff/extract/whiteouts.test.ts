import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  AT_FDCWD,
  lgetxattr,
  llistxattr,
  lsetxattr,
  lstatat,
  mountAll,
  unmount,
  utimensat,
} from '@longshore/linux';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  applyHere,
  archive,
  directory,
  file,
  type Member,
  overlayTarget,
  Scratch,
  symlink,
} from '../testing/layers.ts';
import { dressParents } from './dress-parents.ts';

let scratch: Scratch;
let lower: string;

beforeEach(() => {
  scratch = new Scratch();
  lower = scratch.directory('lower');
  for (const name of ['dir/sub', 'other', 'gone/below']) mkdirSync(join(lower, name), { recursive: true });
  for (const name of ['keep', 'drop', 'dir/old', 'dir/sub/old', 'other/old', 'gone/below/file']) {
    writeFileSync(join(lower, name), `lower ${name}`);
  }
});

afterEach(() => scratch.remove());

/** All paths below a directory. */
function paths(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' }).toSorted();
}

async function applyOnto(upper: string, lowers: string[], members: Member[]): Promise<void> {
  await applyHere(overlayTarget(upper, ...lowers), await archive(...members));
}

/** Before it is known what is below. */
async function applyThenDress(upper: string, lowers: string[], members: Member[]): Promise<void> {
  const { bareParents } = await applyHere(overlayTarget(upper), await archive(...members));
  await dressParents({ upper, lowers }, bareParents);
}

/** What a container sees of the lower directory with a layer on top, as the kernel's overlay shows it. */
async function throughOverlay(members: Member[], apply = applyOnto): Promise<string[]> {
  const [upper, work, merged] = ['upper', 'work', 'merged'].map((name) => scratch.directory(name));
  await apply(upper!, [lower], members);
  const options = [`lowerdir=${lower}`, `upperdir=${upper}`, `workdir=${work}`];
  await mountAll([{ type: 'overlay', source: 'overlay', options }], merged!);
  const seen = paths(merged!);
  await unmount(merged!);
  return seen;
}

/** The same layer, applied onto a copy of the lower directory. */
async function throughDirectory(members: Member[]): Promise<string[]> {
  await applyHere({ kind: 'directory', path: lower }, await archive(...members));
  return paths(lower);
}

const cases: { name: string; members: Member[]; seen: string[] }[] = [
  {
    name: 'hides what a whiteout names, file or directory',
    members: [file('.wh.drop', ''), file('.wh.gone', ''), file('dir/.wh.sub', '')],
    seen: ['dir', 'dir/old', 'keep', 'other', 'other/old'],
  },
  {
    name: 'shows nothing old in an opaque directory, the marker being first',
    members: [directory('dir/'), file('dir/.wh..wh..opq', ''), file('dir/new'), file('.wh.gone', '')],
    seen: ['dir', 'dir/new', 'drop', 'keep', 'other', 'other/old'],
  },
  {
    name: 'shows nothing old in an opaque directory, the marker being last, nor in a directory below',
    members: [
      file('.wh.gone', ''),
      directory('dir/'),
      directory('dir/sub/'),
      file('dir/sub/new'),
      file('dir/new'),
      file('dir/.wh..wh..opq', ''),
      file('dir/sub/.wh..wh..opq', ''),
    ],
    seen: ['dir', 'dir/new', 'dir/sub', 'dir/sub/new', 'drop', 'keep', 'other', 'other/old'],
  },
  {
    name: 'shows nothing old below an opaque directory, in one that the layer names itself',
    members: [file('.wh.gone', ''), directory('dir/sub/'), file('dir/sub/new'), file('dir/.wh..wh..opq', '')],
    seen: ['dir', 'dir/sub', 'dir/sub/new', 'drop', 'keep', 'other', 'other/old'],
  },
  {
    name: 'lets a file take the place of a whiteout and of a directory',
    members: [file('.wh.drop', ''), file('drop', 'new'), file('dir', 'new'), file('.wh.gone', '')],
    seen: ['dir', 'drop', 'keep', 'other', 'other/old'],
  },
  {
    name: 'shows nothing old in a directory that takes the place of a whiteout',
    members: [file('.wh.gone', ''), directory('gone/'), file('gone/new'), file('.wh.dir', '')],
    seen: ['drop', 'gone', 'gone/new', 'keep', 'other', 'other/old'],
  },
  {
    name: 'takes two whiteouts of one name for one, and one of nothing for nothing',
    members: [file('.wh.dir', ''), file('.wh.dir', ''), file('.wh.gone', ''), file('other/.wh.absent', '')],
    seen: ['drop', 'keep', 'other', 'other/old'],
  },
  {
    name: 'merges a directory that is named again',
    members: [directory('dir/', { mode: 0o700 }), file('dir/new'), file('.wh.gone', '')],
    seen: ['dir', 'dir/new', 'dir/old', 'dir/sub', 'dir/sub/old', 'drop', 'keep', 'other', 'other/old'],
  },
];

describe.each(cases)('a layer on top of another $name', ({ members, seen }) => {
  it('through an overlay', async () => {
    expect(await throughOverlay(members)).toEqual(seen);
  });

  it('through an overlay whose lower directory comes later', async () => {
    expect(await throughOverlay(members, applyThenDress)).toEqual(seen);
  });

  it('in a directory', async () => {
    expect(await throughDirectory(members)).toEqual(seen);
  });
});

describe('in an upper directory', () => {
  it('whiteouts are devices 0:0 of the entry’s owner, and markers attributes; neither leaves a file', async () => {
    const upper = scratch.directory('upper');
    await applyHere(
      overlayTarget(upper, lower),
      await archive(file('.wh.drop', '', { uid: 7, gid: 8 }), file('dir/.wh..wh..opq', 'with data')),
    );
    expect(paths(upper)).toEqual(['dir', 'drop']);
    expect(lstatat(AT_FDCWD, join(upper, 'drop'))).toMatchObject({
      mode: 0o020000,
      uid: 7,
      gid: 8,
      deviceMajor: 0,
      deviceMinor: 0,
    });
    expect(lgetxattr(join(upper, 'dir'), 'trusted.overlay.opaque')?.toString()).toBe('y');
  });

  it('a whiteout removes no file that is there', async () => {
    const upper = scratch.directory('upper');
    writeFileSync(join(upper, 'file'), 'here');
    await expect(applyHere(overlayTarget(upper, lower), await archive(file('.wh.file', '')))).rejects.toThrow(
      /"\.wh\.file": EEXIST/,
    );
    expect(readFileSync(join(upper, 'file'), 'utf8')).toBe('here');
  });

  it('attributes of overlayfs in the archive are dropped', async () => {
    const upper = scratch.directory('upper');
    const pax = { 'SCHILY.xattr.trusted.overlay.redirect': '/etc', 'SCHILY.xattr.user.overlay.opaque': 'y' };
    await applyHere(overlayTarget(upper), await archive({ ...directory('dir/'), pax }));
    expect(lgetxattr(join(upper, 'dir'), 'trusted.overlay.redirect')).toBeUndefined();
    expect(lgetxattr(join(upper, 'dir'), 'user.overlay.opaque')).toBeUndefined();
  });

  it.each([
    { when: 'before', apply: applyOnto },
    { when: 'afterwards', apply: applyThenDress },
  ])(
    'a missing parent looks as in the nearest lower directory, told $when, also its times',
    async ({ apply }) => {
      const upper = scratch.directory('upper');
      const nearer = scratch.directory('nearer');
      mkdirSync(join(nearer, 'dir'), { mode: 0o750 });
      lsetxattr(join(nearer, 'dir'), 'trusted.note', Buffer.from('kept'));
      lsetxattr(join(nearer, 'dir'), 'trusted.overlay.opaque', Buffer.from('y'));
      const time = { seconds: 1_000_000_000, nanoseconds: 5 };
      utimensat(AT_FDCWD, join(nearer, 'dir'), time, time);
      const later = [file('made/new'), directory('made/', { mode: 0o711 })];
      mkdirSync(join(nearer, 'made'), { mode: 0o750 });
      await apply(upper, [nearer, lower], [file('dir/sub/new'), file('fresh/new'), ...later]);
      expect(statSync(join(upper, 'made')).mode & 0o7777).toBe(0o711);
      const status = lstatat(AT_FDCWD, join(upper, 'dir'));
      expect(status).toMatchObject({ mode: 0o040750, mtime: time });
      expect(lgetxattr(join(upper, 'dir'), 'trusted.note')?.toString()).toBe('kept');
      expect(lgetxattr(join(upper, 'dir'), 'trusted.overlay.opaque')).toBeUndefined();
      expect(statSync(join(upper, 'dir/sub')).mode).toBe(statSync(join(lower, 'dir/sub')).mode);
      expect(statSync(join(upper, 'fresh')).mode & 0o7777).toBe(0o755);
    },
  );

  it('a lower directory’s symlink is followed inside that lower directory', async () => {
    const outside = scratch.directory('outside', 'sub');
    symlinkSync(outside, join(lower, 'way-out'));
    const upper = scratch.directory('upper');
    await applyHere(overlayTarget(upper, lower), await archive(file('way-out/sub/new')));
    expect(paths(upper)).toEqual(['way-out', 'way-out/sub', 'way-out/sub/new']);
    expect(readdirSync(outside)).toEqual([]);
  });
});

describe('in a directory', () => {
  it('attributes of overlayfs are dropped, which would take effect once it is a lower one', async () => {
    const name = 'SCHILY.xattr.trusted.overlay';
    await applyHere(
      { kind: 'directory', path: lower },
      await archive(
        { ...directory('dir/'), pax: { [`${name}.opaque`]: 'y', 'SCHILY.xattr.user.overlay.opaque': 'y' } },
        { ...file('new'), pax: { [`${name}.metacopy`]: '', [`${name}.redirect`]: '/keep' } },
        { ...symlink('link', 'new'), pax: { [`${name}.whiteout`]: 'y' } },
      ),
    );
    for (const path of ['dir', 'new', 'link']) expect(llistxattr(join(lower, path))).toEqual([]);
  });

  it('a whiteout follows a symlinked parent inside the root', async () => {
    await applyHere(
      { kind: 'directory', path: lower },
      await archive(symlink('alias', '/dir'), file('alias/.wh.old', ''), file('alias/new')),
    );
    expect(existsSync(join(lower, 'dir/old'))).toBe(false);
    expect(existsSync(join(lower, 'dir/new'))).toBe(true);
  });
});
