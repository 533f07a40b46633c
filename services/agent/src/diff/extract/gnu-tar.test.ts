import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  AT_FDCWD,
  FileType,
  lchownat,
  lsetxattr,
  lstatat,
  makeDevice,
  mknodat,
  utimensat,
} from '@longshore/linux';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyHere, describeTree, overlayTarget, Scratch } from '../testing/layers.ts';

/** Honest archives, in every format of GNU tar: what we extract is what GNU tar extracts. */

const scratch = new Scratch();
let source: string;

/** CAP_SETUID, effective: its bytes are no UTF-8. */
const CAPABILITY = Buffer.from('0100000280000000000000000000000000000000', 'hex');

beforeAll(() => {
  source = scratch.directory('source');
  const at = (name: string) => join(source, name);
  const deep = `deep/${'quite-a-long-directory-name/'.repeat(9)}end`;
  for (const name of ['dir/inner', 'private', 'sticky', 'empty', deep])
    mkdirSync(at(name), { recursive: true });
  writeFileSync(at('plain'), 'plain\n');
  writeFileSync(at('empty-file'), '');
  writeFileSync(at('block'), Buffer.alloc(512, 1));
  writeFileSync(at('large'), Buffer.alloc(700_001, 'large '));
  writeFileSync(at('dir/inner/set-id'), 'binary');
  writeFileSync(at(`${deep}/file`), 'deep');
  writeFileSync(at('grüße aus 東京'), 'utf-8');
  writeFileSync(Buffer.concat([Buffer.from(at('latin-')), Buffer.from([0xe4, 0xff])]), 'no utf-8');
  writeFileSync(at('new\nline and \\ backslash'), 'odd');
  writeFileSync(at('n'.repeat(255)), 'longest');
  chownSync(at('dir/inner/set-id'), 1000, 2_000_000);
  chmodSync(at('dir/inner/set-id'), 0o6755);
  lsetxattr(at('plain'), 'security.capability', CAPABILITY);
  lsetxattr(at('plain'), 'user.note', Buffer.from([0, 0xff, 0x0a, 0x3d]));
  lsetxattr(at('dir'), 'trusted.note', Buffer.from('on a directory'));
  chmodSync(at('private'), 0o700);
  chownSync(at('private'), 33, 33);
  chmodSync(at('sticky'), 0o3777);
  symlinkSync('plain', at('link'));
  symlinkSync('/absolute/nowhere', at('dangling'));
  symlinkSync('x'.repeat(300), at('long-link'));
  lchownat(AT_FDCWD, at('link'), 5, 6);
  linkSync(at('plain'), at('dir/hard-link'));
  linkSync(at('link'), at('dir/hard-linked-symlink'));
  mknodat(AT_FDCWD, at('null'), FileType.Character | 0o666, makeDevice(1, 3));
  mknodat(AT_FDCWD, at('disk'), FileType.Block | 0o660, makeDevice(259, 300));
  mknodat(AT_FDCWD, at('pipe'), FileType.Fifo | 0o620, 0);
  writeFileSync(at('holes'), 'start');
  truncateSync(at('holes'), 3_000_000);
  writeFileSync(at('holes'), 'middle', { flag: 'r+' });
  for (let hole = 1; hole < 40; hole++) {
    execFileSync('dd', [
      'if=/dev/zero',
      `of=${at('many-holes')}`,
      'bs=4096',
      'count=1',
      `seek=${hole * 3}`,
      'conv=notrunc',
      'status=none',
    ]);
  }
  const time = { seconds: 1_234_567_890, nanoseconds: 987_654_321 };
  for (const name of ['plain', 'link', 'null', 'dir/inner', 'dir', 'empty'])
    utimensat(AT_FDCWD, at(name), time, time);
});

afterAll(() => scratch.remove());

function tar(...args: string[]): void {
  execFileSync('tar', ['--numeric-owner', '--xattrs', '--xattrs-include=*', ...args], { stdio: 'pipe' });
}

describe('an archive of GNU tar', () => {
  it.each([
    ['pax', ['--format=pax']],
    ['pax, sparse 1.0', ['--format=pax', '--sparse']],
    ['pax, sparse 0.1', ['--format=pax', '--sparse', '--sparse-version=0.1']],
    ['pax, sparse 0.0', ['--format=pax', '--sparse', '--sparse-version=0.0']],
    ['gnu', ['--format=gnu', '--no-xattrs']],
    ['gnu, sparse', ['--format=gnu', '--no-xattrs', '--sparse']],
    ['oldgnu', ['--format=oldgnu', '--no-xattrs', '--sparse']],
  ])('in format %s is extracted as by GNU tar itself', async (name, options) => {
    const archive = join(scratch.path, 'archive.tar');
    tar(...options, '-C', source, '-cf', archive, '.');
    const reference = scratch.directory('reference', name);
    tar('-C', reference, '-xpf', archive);
    const upper = scratch.directory('upper', name);
    await applyHere(overlayTarget(upper), readFileSync(archive));
    const expected = describeTree(reference);
    expect(Object.keys(expected).length).toBeGreaterThan(30);
    expect(describeTree(upper)).toEqual(expected);
  });

  it('in format ustar, which has no long links, too', async () => {
    const archive = join(scratch.path, 'archive.tar');
    const exclude = ['./long-link', './deep', `./${'n'.repeat(255)}`].map((name) => `--exclude=${name}`);
    tar(
      '--format=ustar',
      '--no-xattrs',
      ...exclude,
      '-C',
      source,
      '-cf',
      archive,
      './dir',
      './link',
      './private',
    );
    const reference = scratch.directory('reference', 'ustar');
    tar('-C', reference, '-xpf', archive);
    const upper = scratch.directory('upper', 'ustar');
    await applyHere(overlayTarget(upper), readFileSync(archive));
    expect(describeTree(upper)).toEqual(describeTree(reference));
  });

  it('keeps holes as holes', async () => {
    const archive = join(scratch.path, 'archive.tar');
    tar('--format=pax', '--sparse', '-C', source, '-cf', archive, './many-holes');
    const upper = scratch.directory('upper', 'holes');
    await applyHere(overlayTarget(upper), readFileSync(archive));
    const blocks = Number(execFileSync('stat', ['-c', '%b', join(upper, 'many-holes')]));
    expect(lstatat(AT_FDCWD, join(upper, 'many-holes')).sizeBytes).toBe(120 * 4096 - 2 * 4096);
    expect(blocks * 512).toBeLessThan(60 * 4096);
  });
});
