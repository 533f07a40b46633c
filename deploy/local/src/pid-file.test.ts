import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { takePidFile } from './pid-file.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'longshore-pid-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('takePidFile', () => {
  it('refuses a second holder, naming the first', () => {
    const path = join(dir, 'state/longshore.pid');
    {
      using _held = takePidFile(path);
      expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`);
      expect(() => takePidFile(path)).toThrow(`already running, pid ${process.pid}: already exists`);
    }
    using again = takePidFile(path);
    expect(again).toBeDefined();
  });

  it('takes no notice of a file that a killed process left', () => {
    const path = join(dir, 'longshore.pid');
    writeFileSync(path, '12345678\n');
    using _held = takePidFile(path);
    expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`);
  });
});
