import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { mknodat } from './directory-entries.ts';
import { isErrno } from './errno.ts';
import { AT_FDCWD } from './open.ts';
import { setPipeSize } from './pipe-size.ts';

it('makes a fifo hold more without a reader', () => {
  const directory = mkdtempSync(join(tmpdir(), 'pipe-size-'));
  const path = join(directory, 'fifo');
  mknodat(AT_FDCWD, path, constants.S_IFIFO | 0o600, 0);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  expect(setPipeSize(fd, 1024 ** 2)).toBe(1024 ** 2);
  expect(writeSync(fd, Buffer.alloc(1024 ** 2))).toBe(1024 ** 2);
  expect(() => setPipeSize(fd, 4096)).toThrow(expect.toSatisfy((error) => isErrno(error, 'EBUSY')));
  closeSync(fd);
  rmSync(directory, { recursive: true });
});
