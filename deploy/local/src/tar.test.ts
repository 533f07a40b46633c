import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { makeTar } from './tar.ts';

const list = (archive: Buffer) =>
  execFileSync('tar', ['-tvf', '-', '--numeric-owner'], { input: archive, encoding: 'utf8' });

describe('makeTar', () => {
  it('writes what tar reads', () => {
    const archive = makeTar([
      { path: 'tmp/', type: 'directory', mode: 0o1777 },
      { path: 'etc/passwd', type: 'file', content: 'root\n', uid: 7, gid: 8 },
      { path: 'bin/sh', type: 'symlink', target: 'busybox' },
      { path: 'bin/ash', type: 'hardlink', target: 'etc/passwd' },
    ]);
    const lines = list(archive).trimEnd().split('\n');
    expect(lines[0]).toMatch(/^drwxrwxrwt 0\/0 .* tmp\/$/);
    expect(lines[1]).toMatch(/^-rw-r--r-- 7\/8 +5 .* etc\/passwd$/);
    expect(lines[2]).toMatch(/^lrw.* bin\/sh -> busybox$/);
    expect(lines[3]).toMatch(/^hrw.* bin\/ash link to etc\/passwd$/);
    expect(execFileSync('tar', ['-xOf', '-', 'etc/passwd'], { input: archive, encoding: 'utf8' })).toBe(
      'root\n',
    );
  });

  it('gives the same bytes for the same entries', () => {
    const entries = [{ path: 'a', type: 'file', content: 'x' }] as const;
    expect(makeTar(entries).equals(makeTar(entries))).toBe(true);
  });

  it('refuses a name that does not fit', () => {
    expect(() => makeTar([{ path: 'a'.repeat(101), type: 'file' }])).toThrow(
      /longer than 100 bytes: invalid argument/,
    );
  });
});
