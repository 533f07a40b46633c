import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { withOptDirectory } from './opt-directory.ts';

it('puts what was installed by clients first, and never the current directory', () => {
  const root = mkdtempSync(join(tmpdir(), 'opt-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const opt = join(root, 'opt');
  expect(withOptDirectory({ PATH: '/usr/bin', HOME: '/root' }, opt)).toEqual({
    HOME: '/root',
    PATH: `${opt}/bin:/usr/bin`,
    LD_LIBRARY_PATH: `${opt}/lib`,
  });
  expect(withOptDirectory({ LD_LIBRARY_PATH: '/a' }, opt)).toMatchObject({
    LD_LIBRARY_PATH: `${opt}/lib:/a`,
  });
  for (const name of ['bin', 'lib']) expect(statSync(join(opt, name)).isDirectory()).toBe(true);
});
