import { closeSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AT_FDCWD, OpenFlag, openat, openat2, openInRoot, Resolve } from './open.ts';

let scratch: string;
let root: string;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'longshore-open-'));
  root = join(scratch, 'root');
  mkdirSync(join(root, 'etc'), { recursive: true });
  writeFileSync(join(root, 'etc/secret'), 'inside');
  mkdirSync(join(scratch, 'etc'));
  writeFileSync(join(scratch, 'etc/secret'), 'outside');
  symlinkSync('../../../etc', join(root, 'up'));
  symlinkSync('/etc', join(root, 'absolute'));
});

afterAll(() => {
  rmSync(scratch, { recursive: true });
});

function readAndClose(fd: number): string {
  try {
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

describe('openInRoot', () => {
  it.each(['up/secret', 'absolute/secret', '../etc/secret', '/etc/secret'])('resolves %s inside', (path) => {
    expect(readAndClose(openInRoot(root, path, OpenFlag.ReadOnly))).toBe('inside');
  });
});

describe('openat2', () => {
  const flags = OpenFlag.ReadOnly;

  it('refuses symlinks and leaving when told so', () => {
    const fd = openat(AT_FDCWD, root, OpenFlag.Path | OpenFlag.Directory);
    try {
      expect(() => openat2(fd, 'up/secret', { flags, resolve: Resolve.NoSymlinks })).toThrow(/ELOOP/);
      expect(() => openat2(fd, '../etc/secret', { flags, resolve: Resolve.Beneath })).toThrow(/EXDEV/);
      const resolve = Resolve.NoSymlinks | Resolve.Beneath;
      expect(readAndClose(openat2(fd, 'etc/secret', { flags, resolve }))).toBe('inside');
    } finally {
      closeSync(fd);
    }
  });

  it('creates a file whose name is no UTF-8, with mode', () => {
    const name = Buffer.from([...Buffer.from(`${root}/`), 0xff, 0xfe]);
    const create = OpenFlag.WriteOnly | OpenFlag.Create | OpenFlag.Exclusive;
    closeSync(openat2(AT_FDCWD, name, { flags: create, mode: 0o600 }));
    expect(() => openat2(AT_FDCWD, name, { flags: create, mode: 0o600 })).toThrow(/EEXIST/);
    rmSync(name);
  });

  it('refuses a NUL inside a name instead of cutting it there', () => {
    expect(() => openat(AT_FDCWD, '/etc/passwd\0.txt', flags)).toThrow(/EINVAL.*NUL/);
  });

  it('leaves its descriptors to no child', () => {
    const fd = openat(AT_FDCWD, root, OpenFlag.ReadOnly | OpenFlag.Directory);
    const info = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
    closeSync(fd);
    const flagsOfFd = parseInt(/flags:\s*([0-7]+)/.exec(info)![1]!, 8);
    expect(flagsOfFd & OpenFlag.CloseOnExec).not.toBe(0);
  });
});
