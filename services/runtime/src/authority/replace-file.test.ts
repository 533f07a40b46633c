import { readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { scratchDirectory } from '@longshore/transport/testing';
import { expect, it } from 'vitest';
import { replaceFile } from './replace-file.ts';

it('writes no secret to what was left in its way', () => {
  const directory = scratchDirectory();
  const [path, other] = [join(directory, 'tls.key'), join(directory, 'other')];
  writeFileSync(other, 'theirs', { mode: 0o644 });
  symlinkSync(other, `${path}.new`);
  replaceFile(path, 'secret', 0o600);
  expect(readFileSync(other, 'utf8')).toBe('theirs');
  expect(readFileSync(path, 'utf8')).toBe('secret');
  expect(statSync(path).mode & 0o777).toBe(0o600);
});
