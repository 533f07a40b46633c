import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { binaryName, RuntimeBinaries } from './runtime-binary.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'runtimes-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function install(name: string, mode = 0o755): string {
  const path = join(directory, name);
  writeFileSync(path, '');
  chmodSync(path, mode);
  return path;
}

describe('binaryName', () => {
  it('is made of the last two parts of a dotted name', () => {
    expect(binaryName('io.containerd.runc.v2')).toBe('containerd-shim-runc-v2');
    expect(binaryName('kata.v2')).toBe('containerd-shim-kata-v2');
    expect(binaryName('kata')).toBeUndefined();
    expect(binaryName('.v2')).toBeUndefined();
  });
});

describe('RuntimeBinaries', () => {
  it('looks along the search path, past what cannot be run', () => {
    const binaries = new RuntimeBinaries(`/nowhere::${directory}`);
    expect(() => binaries.resolve('io.acme.x.v1')).toThrow(/"containerd-shim-x-v1": file does not exist/);
    const path = install('containerd-shim-x-v1', 0o644);
    expect(() => binaries.resolve('io.acme.x.v1')).toThrow(/not installed/);
    chmodSync(path, 0o755);
    expect(binaries.resolve('io.acme.x.v1')).toBe(path);
  });

  it('notices that a binary it found is gone', () => {
    const binaries = new RuntimeBinaries(directory);
    const path = install('containerd-shim-x-v1');
    expect(binaries.resolve('io.acme.x.v1')).toBe(path);
    rmSync(path);
    expect(() => binaries.resolve('io.acme.x.v1')).toThrow(/not installed/);
  });

  it('takes an absolute path as it is, and no relative one', () => {
    const binaries = new RuntimeBinaries('');
    const path = install('my-shim');
    expect(binaries.resolve(path)).toBe(path);
    expect(() => binaries.resolve(`${path}-not`)).toThrow(/invalid custom binary path/);
    expect(() => binaries.resolve('./my.shim')).toThrow(/invalid runtime name/);
    expect(() => binaries.resolve('')).toThrow(/no runtime name/);
  });
});
