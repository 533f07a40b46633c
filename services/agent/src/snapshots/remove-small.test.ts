import { existsSync, mkdirSync, readdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { removedSmall } from './remove-small.ts';
import { scratchDirectory } from './testing/scratch-directory.ts';

async function tree(): Promise<string> {
  const path = join(await scratchDirectory(), 'tree');
  mkdirSync(join(path, 'fs/etc'), { recursive: true });
  writeFileSync(join(path, 'fs/etc/hosts'), 'x');
  return path;
}

describe('removedSmall', () => {
  it('deletes what a container leaves behind, and nothing that its links lead to', async () => {
    const path = await tree();
    const outside = await tree();
    symlinkSync(outside, join(path, 'fs/link'));
    expect(removedSmall(path)).toBe(true);
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(join(outside, 'fs/etc'))).toEqual(['hosts']);
  });

  it('leaves many entries, and large files, to others', async () => {
    const many = await tree();
    for (let n = 0; n < 40; n++) mkdirSync(join(many, 'fs', String(n)));
    const large = await tree();
    writeFileSync(join(large, 'fs/file'), '');
    truncateSync(join(large, 'fs/file'), 2 * 1024 * 1024);
    for (const path of [many, large]) {
      expect(removedSmall(path)).toBe(false);
      expect(existsSync(join(path, 'fs'))).toBe(true);
    }
  });

  it('is false for what is not there', async () => {
    expect(removedSmall(join(await scratchDirectory(), 'nothing'))).toBe(false);
  });
});
