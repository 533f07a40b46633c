import { execFile } from 'node:child_process';
import { link, mkdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { diskUsage } from './disk-usage.ts';
import { scratchDirectory } from './testing/scratch-directory.ts';

const run = promisify(execFile);

/** What du(1) says. */
async function du(path: string): Promise<{ sizeBytes: bigint; inodes: bigint }> {
  const [size, inodes] = await Promise.all([
    run('du', ['-s', '-B1', path]),
    run('du', ['-s', '--inodes', path]),
  ]);
  return { sizeBytes: BigInt(size.stdout.split('\t')[0]!), inodes: BigInt(inodes.stdout.split('\t')[0]!) };
}

describe('diskUsage', () => {
  it('agrees with du about hard links, sparse files, symlinks and odd names', async () => {
    const top = await scratchDirectory();
    await mkdir(join(top, 'a/b'), { recursive: true });
    await writeFile(join(top, 'a/file'), Buffer.alloc(100_000, 1));
    await link(join(top, 'a/file'), join(top, 'a/b/same'));
    await symlink('/nowhere', join(top, 'a/link'));
    await writeFile(join(top, 'sparse'), 'x');
    await truncate(join(top, 'sparse'), 50_000_000);
    await writeFile(Buffer.concat([Buffer.from(`${top}/`), Buffer.from([0xff])]), 'x');
    expect(await diskUsage(top)).toEqual(await du(top));
  });

  it('counts trees larger than one turn', async () => {
    const top = await scratchDirectory();
    for (let directory = 0; directory < 5; directory++) {
      await mkdir(join(top, `${directory}`));
      for (let file = 0; file < 150; file++) await writeFile(join(top, `${directory}/${file}`), '');
    }
    expect((await diskUsage(top)).inodes).toBe(756n);
  });

  it('ends when it is told to', async () => {
    const top = await scratchDirectory();
    for (let file = 0; file < 250; file++) await writeFile(join(top, `${file}`), '');
    await expect(diskUsage(top, AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('finds nothing where nothing is', async () => {
    expect(await diskUsage(join(await scratchDirectory(), 'gone'))).toEqual({ sizeBytes: 0n, inodes: 0n });
  });
});
