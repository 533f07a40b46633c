import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  applyHere,
  archive,
  describeTree,
  directory,
  END,
  file,
  hardLink,
  header,
  type Member,
  overlayTarget,
  paxHeader,
  Scratch,
  symlink,
} from '../testing/layers.ts';
import type { ExtractionTarget } from './layer-extractor.ts';

let scratch: Scratch;
let root: string;
let outside: string;
let before: unknown;

/** Whatever a layer holds, nothing beside its root changes: not a byte, mode, owner, time, name or attribute. */
beforeEach(() => {
  scratch = new Scratch();
  root = scratch.directory('root');
  outside = scratch.directory('outside');
  mkdirSync(join(outside, 'dir'), { mode: 0o750 });
  writeFileSync(join(outside, 'canary'), 'alive', { mode: 0o600 });
  writeFileSync(join(outside, 'dir/canary'), 'alive');
  before = describeTree(outside);
});

afterEach(async () => {
  expect(describeTree(outside)).toEqual(before);
  await scratch.remove();
});

const targets: [string, () => ExtractionTarget][] = [
  ['an upper directory', () => overlayTarget(root)],
  ['a directory', () => ({ kind: 'directory', path: root })],
];

/** Members by what they are up to; `$OUT` is the absolute path of the canaries. */
const escapes: [string, Member[]][] = [
  ['an absolute path', [file('$OUT/canary', 'dead')]],
  ['dots in front', [file('../outside/canary', 'dead'), file('../../../../../../..$OUT/canary', 'dead')]],
  ['dots in between', [directory('a/'), file('a/../../outside/canary', 'dead')]],
  ['an absolute symlink as parent', [symlink('out', '$OUT'), file('out/canary', 'dead')]],
  [
    'a relative symlink as parent',
    [symlink('out', '../outside'), file('out/canary', 'dead'), file('out/dir/canary')],
  ],
  [
    'a chain of symlinks',
    [
      symlink('a', 'b'),
      symlink('b', 'c/d'),
      directory('c/'),
      symlink('c/d', '../../outside'),
      file('a/canary'),
    ],
  ],
  [
    'a symlink that was a directory',
    [directory('d/'), file('d/x'), symlink('d', '$OUT'), file('d/canary', 'dead')],
  ],
  [
    'a directory over a symlink',
    [symlink('d', '$OUT/dir'), directory('d/', { mode: 0o777, uid: 9 }), file('d/canary')],
  ],
  [
    'a file over a symlink',
    [symlink('f', '$OUT/canary', { mode: 0o777 }), file('f', 'dead', { mode: 0o666 })],
  ],
  [
    'a device over a symlink',
    [
      symlink('f', '$OUT/canary'),
      { name: 'f', type: 'character-device', devmajor: 1, devminor: 3, mode: 0o666 },
    ],
  ],
  ['a hard link to an absolute path', [hardLink('h', '$OUT/canary'), file('h', 'dead')]],
  ['a hard link with dots', [hardLink('h', '../outside/canary')]],
  ['a hard link through a symlink', [symlink('out', '$OUT'), hardLink('h', 'out/canary')]],
  [
    'a hard link to a symlink, then a file',
    [symlink('s', '$OUT/canary'), hardLink('h', 's'), file('h', 'dead'), file('s', 'dead')],
  ],
  ['a mode and owner through a symlink', [symlink('s', '$OUT/canary', { uid: 1, gid: 1, mode: 0o777 })]],
  [
    'attributes through a symlink',
    [{ ...symlink('s', '$OUT/canary'), pax: { 'SCHILY.xattr.trusted.evil': 'x' } }],
  ],
  [
    'times of a directory that became a symlink',
    [directory('d/'), symlink('e', '$OUT'), symlink('d', '$OUT')],
  ],
  ['a whiteout through a symlink', [symlink('out', '$OUT'), file('out/.wh.canary', '')]],
  ['a whiteout with dots', [file('../outside/.wh.canary', ''), file('../.wh.outside', '')]],
  ['an opaque marker through a symlink', [symlink('out', '$OUT/dir'), file('out/.wh..wh..opq', '')]],
  ['an opaque marker over a symlink', [symlink('out', '$OUT/dir'), file('.wh..wh..opq', '')]],
  ['a whiteout of a symlink', [symlink('out', '$OUT/dir'), file('.wh.out', '')]],
];

describe.each(targets)('nothing leaves %s', (_, target) => {
  it.each(escapes)('by %s', async (_name, members) => {
    const placed = members.map((member) => ({
      ...member,
      name: member.name.replace('$OUT', outside),
      ...(member.linkname ? { linkname: member.linkname.replace('$OUT', outside) } : {}),
    }));
    // Some are refused and some end up inside: both are fine, as long as the canaries live.
    await applyHere(target(), await archive(...placed)).catch((error: unknown) =>
      expect(error).toMatchObject({ kind: 'InvalidArgument' }),
    );
  });

  it('when the root has symlinks out already', async () => {
    symlinkSync(outside, join(root, 'planted'));
    const layer = await archive(file('planted/dir/canary', 'dead'), hardLink('h', 'planted/canary'));
    await expect(applyHere(target(), layer)).rejects.toThrow(/"h": ENOENT/);
    expect(readFileSync(join(root, outside, 'dir/canary'), 'utf8')).toBe('dead');
  });
});

describe('a hostile entry', () => {
  it('with an absolute or dotted name lands inside', async () => {
    await applyHere(
      overlayTarget(root),
      await archive(file('/abs/a'), file('../../up/b'), file('x/../c'), file('././/d')),
    );
    expect(readdirSync(root).toSorted()).toEqual(['abs', 'c', 'd', 'up']);
  });

  it.each(['/', '.', './', '..', '../..', 'a/..', ''])(
    'that means the root, as %j, changes nothing',
    async (name) => {
      const mode = lstatSync(root).mode;
      await applyHere(overlayTarget(root), await archive(directory(name, { mode: 0o777, uid: 5 })));
      expect(lstatSync(root)).toMatchObject({ mode, uid: 0 });
      expect(readdirSync(root)).toEqual([]);
    },
  );

  it.each(['.wh.', '.wh..', '.wh...', 'dir/.wh...'])('that is the whiteout %s is refused', async (name) => {
    await expect(applyHere(overlayTarget(root), await archive(file(name, '')))).rejects.toThrow(
      /invalid whiteout/,
    );
  });

  it.each([
    ['a loop of symlinks', [symlink('a', 'b'), symlink('b', 'a'), file('a/x')], /ELOOP/],
    [
      'a walk of many steps',
      [symlink('s', 'd/../'.repeat(800)), directory('d/'), symlink('t', 's/'.repeat(20)), file('t/x')],
      /ELOOP/,
    ],
    ['a file as parent', [file('f'), file('f/x')], /"f\/x": ENOTDIR/],
    ['a pipe as parent', [{ name: 'p', type: 'fifo' as const }, file('p/x')], /ENOTDIR/],
    ['a missing link target', [hardLink('h', 'absent')], /"h": ENOENT/],
    ['a link to a directory', [directory('d/'), hardLink('h', 'd')], /hard link to a directory/],
    ['a link to the root', [hardLink('h', '/..')], /hard link to the root/],
    ['a name of 256 bytes', [file('n'.repeat(256))], /ENAMETOOLONG/],
    ['a path of 5,000 bytes', [file('d/'.repeat(2500))], /ENAMETOOLONG/],
    ['an empty symlink', [{ ...symlink('s', 'x'), linkname: '' }], /ENOENT/],
  ] as [string, Member[], RegExp][])(
    'with %s is refused as the archive’s fault',
    async (_, members, message) => {
      const refused = applyHere(overlayTarget(root), await archive(...members));
      await expect(refused).rejects.toThrow(message);
      await expect(refused).rejects.toMatchObject({ kind: 'InvalidArgument' });
    },
  );

  it('cannot build a tree deeper than a path can name, by way of symlinks', async () => {
    const step = `${'d'.repeat(200)}/`.repeat(15);
    const members = [
      file(`${step}x`),
      symlink('one', step),
      file(`one/${step}x`),
      symlink('two', `one/${step}`),
      file(`two/${step}x`),
    ];
    await expect(applyHere(overlayTarget(root), await archive(...members))).rejects.toThrow(/ENAMETOOLONG/);
  });

  it('with a NUL in its name or link is refused', async () => {
    const layer = Buffer.concat([paxHeader(['linkpath', 'a\0b']), header({ name: 's', type: '2' }), END]);
    await expect(applyHere(overlayTarget(root), layer)).rejects.toThrow(/NUL/);
    expect(readdirSync(root)).toEqual([]);
  });

  it('with a device beyond what Linux has is refused', async () => {
    const layer = await archive({ name: 'd', type: 'block-device', devmajor: 70000, devminor: 1 });
    await expect(applyHere(overlayTarget(root), layer)).rejects.toThrow(/device 70000:1/);
  });

  it('that links a file to itself keeps the file', async () => {
    await applyHere(
      overlayTarget(root),
      await archive(file('f', 'kept'), hardLink('f', './f'), hardLink('g', 'f'), hardLink('g', 'f')),
    );
    expect(readFileSync(join(root, 'f'), 'utf8')).toBe('kept');
    expect(lstatSync(join(root, 'g')).nlink).toBe(2);
  });

  it('that replaces a pipe or a device does not open it', async () => {
    const layer = await archive(
      { name: 'f', type: 'fifo' },
      file('f', 'file'),
      { name: 'd', type: 'character-device', devmajor: 1, devminor: 1 },
      directory('d/'),
    );
    await applyHere(overlayTarget(root), layer);
    expect(lstatSync(join(root, 'f')).isFile()).toBe(true);
    expect(lstatSync(join(root, 'd')).isDirectory()).toBe(true);
  });

  it('that replaces a full directory removes only what is below it', async () => {
    symlinkSync(outside, join(scratch.directory('root', 'd', 'e'), 'out'));
    await applyHere({ kind: 'directory', path: root }, await archive(file('d', 'file')));
    expect(lstatSync(join(root, 'd')).isFile()).toBe(true);
  });

  it('comes after good ones: these stay, no descriptor does', async () => {
    const open = readdirSync('/proc/self/fd').length;
    const members = Array.from({ length: 100 }, (_, index) => file(`d${index}/f`));
    await expect(applyHere(overlayTarget(root), await archive(...members, file('d0/f/x')))).rejects.toThrow(
      /ENOTDIR/,
    );
    expect(existsSync(join(root, 'd99/f'))).toBe(true);
    expect(readdirSync('/proc/self/fd').length).toBe(open);
  });
});

describe('limits', () => {
  const layer = () => archive(directory('a/'), file('a/b', 'x'.repeat(5000)), file('implied/twice/c'));

  it.each([
    [{ maxEntries: 2 }, /more than 2 entries/],
    [{ maxDirectories: 2 }, /more than 2 directories/],
    [{ maxBytes: 4000 }, /more than 4000 bytes/],
  ])('%j are kept', async (limits, message) => {
    const refused = applyHere(overlayTarget(root), await layer(), limits);
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.toMatchObject({ kind: 'ResourceExhausted' });
  });

  it('count the holes of a file', async () => {
    const bomb = Buffer.concat([
      paxHeader(['GNU.sparse.numblocks', '0'], ['GNU.sparse.map', ''], ['GNU.sparse.size', String(2 ** 45)]),
      header({ name: 'bomb', type: '0' }),
      END,
    ]);
    await expect(applyHere(overlayTarget(root), bomb)).rejects.toMatchObject({ kind: 'ResourceExhausted' });
    expect(existsSync(join(root, 'bomb'))).toBe(false);
  });
});

describe('someone who swaps directories for symlinks meanwhile', () => {
  it('gains nothing', async () => {
    const swapper = spawn('sh', ['-c', SWAP, 'sh', outside], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(swapper.stdout, 'data');
      const members = Array.from({ length: 400 }, (_, index) =>
        file(`d/s${index % 100}/canary`, `dead ${index}`),
      );
      const layer = await archive(...members, file('d/canary', 'dead'), file('d/dir/canary', 'dead'));
      for (let round = 0; round < 4; round++) {
        // A swap in the midst of an entry may make it fail.
        await applyHere({ kind: 'directory', path: root }, layer).catch((error: unknown) =>
          expect(error).toMatchObject({ kind: 'InvalidArgument' }),
        );
        expect(describeTree(outside)).toEqual(before);
      }
      expect(swapper.exitCode).toBeNull();
    } finally {
      swapper.kill('SIGKILL');
      await once(swapper, 'close');
    }
  });
});

/** `d` is a directory, then a symlink to the canaries, then a directory …, until killed. */
const SWAP = `
mkdir -p d real; ln -sfn "$1" out; echo ready
while :; do
  mv -T d real-d 2>/dev/null; mv -T out d 2>/dev/null
  mv -T d out 2>/dev/null; mv -T real-d d 2>/dev/null
done`;
