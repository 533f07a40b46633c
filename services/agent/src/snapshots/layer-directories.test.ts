import { execFileSync } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LayerDirectories, newGeneration } from './layer-directories.ts';
import { scratchDirectory } from './testing/scratch-directory.ts';

async function open(): Promise<LayerDirectories> {
  return LayerDirectories.open(join(await scratchDirectory(), 'snapshots', 'overlayfs'));
}

describe('LayerDirectories', () => {
  it('makes a directory once', async () => {
    const directories = await open();
    const generation = newGeneration();
    expect(directories.make(generation)).toBe(join(directories.base, generation));
    expect(() => directories.make(generation)).toThrow(expect.objectContaining({ kind: 'AlreadyExists' }));
  });

  it('lists layers and nothing else', async () => {
    const directories = await open();
    await mkdir(join(directories.base, 'lost+found'));
    const generations = [newGeneration(), newGeneration()];
    for (const generation of generations) directories.make(generation);
    expect((await directories.list()).sort()).toEqual(generations.sort());
  });

  it('deletes a discarded layer, also with names that are no UTF-8', async () => {
    const directories = await open();
    const generation = newGeneration();
    const path = directories.make(generation);
    await mkdir(join(path, 'fs', 'deep'), { recursive: true });
    await writeFile(Buffer.concat([Buffer.from(join(path, 'fs', 'deep/')), Buffer.from([0xff, 0xfe])]), 'x');
    directories.discard(generation);
    expect(await directories.list()).toEqual([]);
    expect(directories.isGone(generation)).toBe(false);
    await Promise.all([directories.purge(generation), directories.purge(generation)]);
    expect(directories.isGone(generation)).toBe(true);
  });

  it('deletes a layer that is nested deeper than a path can name', async () => {
    const directories = await open();
    const generation = newGeneration();
    // One step of 5,000 bytes of path, made from directory to directory.
    const nest = 'i=0; while [ $i -lt 25 ]; do mkdir "$1" && cd -P "./$1" || exit 1; i=$((i+1)); done';
    const cwd = directories.make(generation);
    execFileSync('bash', ['-c', nest, 'bash', 'd'.repeat(200)], { cwd, stdio: 'pipe' });
    directories.discard(generation);
    await directories.purge(generation);
    expect(directories.isGone(generation)).toBe(true);
  });

  it('discards what is not there without a word', async () => {
    const directories = await open();
    directories.discard(newGeneration());
    await directories.purge(newGeneration());
  });

  it('deletes after a restart what was discarded before', async () => {
    const directories = await open();
    const generation = newGeneration();
    directories.make(generation);
    directories.discard(generation);
    const reopened = await LayerDirectories.open(directories.base);
    await reopened.purgeAll();
    expect(reopened.isGone(generation)).toBe(true);
  });

  it('puts a layer aside whole', async () => {
    const directories = await open();
    const generation = newGeneration();
    await writeFile(join(directories.make(generation), 'file'), 'precious');
    await directories.quarantine(generation);
    expect(await directories.list()).toEqual([]);
    expect(await directories.quarantined()).toEqual([generation]);
    expect(await readdir(join(directories.base, '.quarantine', generation))).toEqual(['file']);
  });
});
