import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chmod,
  chown,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { lgetxattr, lsetxattr, mountAll, unmountRecursive } from '@longshore/linux';
import { describe, expect, it } from 'vitest';
import { newGeneration } from './layer-directories.ts';
import type { NewLayer, Snapshotter } from './snapshotter.ts';
import { newLayer } from './testing/new-layer.ts';
import { scratchDirectory } from './testing/scratch-directory.ts';

export interface SuiteOptions {
  /** Layers that one mount can stand on, one over another. */
  layers: number;
  /** Whether a directory that came from below can be renamed. */
  renamesDirectories: boolean;
  /** False where what is purged goes some time later. */
  freesAtOnce?: boolean;
}

/**
 * What every snapshotter must do. `open` gives one without layers, which ends with the test.
 * Source of most: containerd core/snapshots/testsuite.
 */
export function describeSnapshotter(
  name: string,
  open: () => Promise<Snapshotter>,
  { layers, renamesDirectories, freesAtOnce = true }: SuiteOptions,
): void {
  async function make(driver: Snapshotter, layer: NewLayer) {
    const made = await driver.create(layer);
    if (made.kind !== 'made') throw new Error(`layer ${layer.generation} was found`);
    return made.mounts;
  }

  /** Does something in a layer while it is mounted. */
  async function within<T>(
    driver: Snapshotter,
    layer: NewLayer,
    work: (path: string) => Promise<T>,
  ): Promise<T> {
    const target = await scratchDirectory();
    await mountAll(await driver.mounts(layer), target);
    try {
      return await work(target);
    } finally {
      await unmountRecursive(target);
    }
  }

  /** A layer on others, changed and committed; answers the chain, nearest first. */
  async function committed(
    driver: Snapshotter,
    ancestors: readonly string[],
    work: (path: string) => Promise<unknown> = async () => undefined,
  ): Promise<string[]> {
    const layer = newLayer('active', ancestors);
    await make(driver, layer);
    await within(driver, layer, work);
    await commit(driver, layer);
    return [layer.generation, ...ancestors];
  }

  async function commit(driver: Snapshotter, { generation, namespace, key }: NewLayer, newParent?: string) {
    await driver.commit?.({ generation, namespace, name: `name-of-${key}`, labels: {}, newParent });
  }

  /** What a new layer on a chain shows. */
  async function shows<T>(
    driver: Snapshotter,
    chain: readonly string[],
    work: (path: string) => Promise<T>,
  ): Promise<T> {
    const layer = newLayer('view', chain);
    await make(driver, layer);
    return within(driver, layer, work);
  }

  const write = (path: string, content: string) => writeFile(path, content, { mode: 0o777 });
  const read = (path: string) => readFile(path, 'utf8');

  describe(`snapshotter ${name}`, () => {
    it('shows what lower layers have, and keeps what each changes to itself', async () => {
      const driver = await open();
      const base = await committed(driver, [], async (path) => {
        await write(join(path, 'foo'), 'foo');
        await mkdir(join(path, 'a/b/c'), { recursive: true });
      });
      const next = await committed(driver, base, async (path) => {
        expect(await read(join(path, 'foo'))).toBe('foo');
        await write(join(path, 'foo'), 'changed');
        await write(join(path, 'bar'), 'bar');
        await rm(join(path, 'a/b'), { recursive: true });
      });
      await shows(driver, base, async (path) => {
        expect((await readdir(path)).sort()).toEqual(['a', 'foo']);
        expect(await read(join(path, 'foo'))).toBe('foo');
        expect(await readdir(join(path, 'a'))).toEqual(['b']);
      });
      await shows(driver, next, async (path) => {
        expect((await readdir(path)).sort()).toEqual(['a', 'bar', 'foo']);
        expect(await read(join(path, 'foo'))).toBe('changed');
        expect(await readdir(join(path, 'a'))).toEqual([]);
      });
    });

    it('gives the same mounts again, for a layer that was made and one that is mounted', async () => {
      const driver = await open();
      const base = await committed(driver, []);
      const layer = newLayer('active', base);
      const mounts = await make(driver, layer);
      expect(await driver.mounts(layer)).toEqual(mounts);
      await within(driver, layer, async () => expect(await driver.mounts(layer)).toEqual(mounts));
    });

    it('keeps owners, modes, times, links, attributes and devices of lower layers', async () => {
      const driver = await open();
      const base = await committed(driver, [], async (path) => {
        await write(join(path, 'file'), 'content');
        await link(join(path, 'file'), join(path, 'linked'));
        await symlink('../nowhere', join(path, 'symlink'));
        lsetxattr(join(path, 'file'), 'user.longshore', Buffer.from('value'));
        await chown(join(path, 'file'), 1000, 1001);
        await chmod(join(path, 'file'), 0o6751);
        execFileSync('mknod', [join(path, 'null'), 'c', '1', '3']);
        execFileSync('touch', ['-d', '2001-02-03T04:05:06.789Z', join(path, 'file')]);
      });
      const check = async (path: string) => {
        const file = await lstat(join(path, 'file'));
        expect(file).toMatchObject({ uid: 1000, gid: 1001, mode: 0o106751, nlink: 2 });
        expect(file.mtime.toISOString()).toBe('2001-02-03T04:05:06.789Z');
        expect((await lstat(join(path, 'linked'))).ino).toBe(file.ino);
        expect((await lstat(join(path, 'symlink'))).isSymbolicLink()).toBe(true);
        expect(lgetxattr(join(path, 'file'), 'user.longshore')?.toString()).toBe('value');
        expect((await lstat(join(path, 'null'))).rdev).toBe(0x103);
      };
      const layer = newLayer('active', base);
      await make(driver, layer);
      await within(driver, layer, check);
      await shows(driver, base, check);
    });

    it('changes the owner and mode of what lies below, also of the root', async () => {
      const driver = await open();
      const base = await committed(driver, [], async (path) => {
        await mkdir(join(path, 'opt'));
        await write(join(path, 'opt/a'), '');
      });
      const next = await committed(driver, base, async (path) => {
        await chown(join(path, 'opt'), 1, 2);
        await chown(join(path, 'opt/a'), 3, 4);
        await chmod(join(path, 'opt'), 0o700);
        await chown(path, 5, 6);
      });
      const above = await committed(driver, next);
      await shows(driver, above, async (path) => {
        expect(await stat(path)).toMatchObject({ uid: 5, gid: 6, mode: 0o040755 });
        expect(await stat(join(path, 'opt'))).toMatchObject({ uid: 1, gid: 2, mode: 0o040700 });
        expect(await stat(join(path, 'opt/a'))).toMatchObject({ uid: 3, gid: 4 });
      });
    });

    it('moves and replaces what lies below', async () => {
      const driver = await open();
      const base = await committed(driver, [], async (path) => {
        await mkdir(join(path, 'dir/deep'), { recursive: true });
        await write(join(path, 'dir/file'), 'moved');
        await mkdir(join(path, 'was-directory'));
        await write(join(path, 'was-directory/inner'), '');
      });
      const next = await committed(driver, base, async (path) => {
        await rename(join(path, 'dir/file'), join(path, 'file'));
        await rm(join(path, 'was-directory'), { recursive: true });
        await write(join(path, 'was-directory'), 'file now');
        if (renamesDirectories) await rename(join(path, 'dir/deep'), join(path, 'deep'));
      });
      await shows(driver, next, async (path) => {
        expect(await read(join(path, 'file'))).toBe('moved');
        expect(await read(join(path, 'was-directory'))).toBe('file now');
        expect(await readdir(join(path, 'dir'))).toEqual(renamesDirectories ? [] : ['deep']);
      });
    });

    it('begins with a root that everyone may read', async () => {
      const driver = await open();
      const layer = newLayer('active');
      await make(driver, layer);
      await within(driver, layer, async (path) => expect((await stat(path)).mode).toBe(0o040755));
    });

    it.each([0, 1, 2])('lets nobody write to a view of %i layers', async (count) => {
      const driver = await open();
      let chain: string[] = [];
      for (let n = 0; n < count; n++) chain = await committed(driver, chain);
      await shows(driver, chain, async (path) => {
        await expect(writeFile(join(path, 'new'), '')).rejects.toMatchObject({ code: 'EROFS' });
      });
    });

    it(`mounts ${layers} layers`, async () => {
      const driver = await open();
      let chain: string[] = [];
      for (let n = 0; n < layers; n++)
        chain = await committed(driver, chain, (path) => mkdir(join(path, `${n}`)));
      await shows(driver, chain, async (path) => expect(await readdir(path)).toHaveLength(layers));
    });

    it('measures what a layer takes', async () => {
      const driver = await open();
      const layer = newLayer('active');
      await make(driver, layer);
      const empty = await driver.usage(layer.generation);
      await within(driver, layer, async (path) => {
        await writeFile(join(path, 'file'), Buffer.alloc(200_000, 1));
        await link(join(path, 'file'), join(path, 'again'));
      });
      const filled = await driver.usage(layer.generation);
      expect(filled.inodes - empty.inodes).toBe(1n);
      expect(Number(filled.sizeBytes - empty.sizeBytes)).toBeGreaterThanOrEqual(200_000);
      expect(Number(filled.sizeBytes - empty.sizeBytes)).toBeLessThan(300_000);
    });

    it('makes nothing on a layer that is not there, and makes none twice', async () => {
      const driver = await open();
      await expect(driver.create(newLayer('active', [newGeneration()]))).rejects.toMatchObject({
        kind: 'NotFound',
      });
      const layer = newLayer('active');
      await make(driver, layer);
      await expect(driver.create(layer)).rejects.toThrow(layer.generation);
    });

    it('says of a commit that was made that it is made', async () => {
      const driver = await open();
      const layer = newLayer('active');
      await make(driver, layer);
      await within(driver, layer, (path) => mkdir(join(path, 'dir')));
      await commit(driver, layer);
      await commit(driver, layer);
      await shows(driver, [layer.generation], async (path) => expect(await readdir(path)).toEqual(['dir']));
    });

    it('gives a layer its parent afterwards, if it says that it can', async () => {
      const driver = await open();
      if (!driver.capabilities.includes('rebase')) return;
      const base = await committed(driver, [], (path) => mkdir(join(path, 'below')));
      const layer = newLayer('active');
      await make(driver, layer);
      await within(driver, layer, (path) => mkdir(join(path, 'above')));
      await commit(driver, layer, base[0]);
      await shows(driver, [layer.generation, ...base], async (path) => {
        expect((await readdir(path)).sort()).toEqual(['above', 'below']);
      });
    });

    it('lists its layers, and has nothing left of one that was discarded and purged', async () => {
      const driver = await open();
      const { directories } = driver;
      const [first, second] = [newLayer('active'), newLayer('active')];
      for (const layer of [first, second]) await make(driver, layer);
      const mounts = await driver.mounts(first);
      expect((await directories.list()).sort()).toEqual([first.generation, second.generation].sort());
      directories.discard(first.generation);
      expect(await directories.list()).toEqual([second.generation]);
      expect(directories.isGone(first.generation)).toBe(false);
      await Promise.all([directories.purge(first.generation), directories.purge(first.generation)]);
      expect(directories.isGone(first.generation)).toBe(true);
      if (freesAtOnce) expect(mounts.filter(({ source }) => existsSync(source))).toEqual([]);
      directories.discard(first.generation);
      await directories.purge(first.generation);
    });

    it('purges what an earlier process had discarded', async () => {
      const driver = await open();
      const layer = newLayer('active');
      await make(driver, layer);
      driver.directories.discard(layer.generation);
      await driver.directories.purgeAll();
      expect(driver.directories.isGone(layer.generation)).toBe(true);
    });

    it('puts a layer aside, whole', async () => {
      const driver = await open();
      const layer = newLayer('active');
      await make(driver, layer);
      const { directories } = driver;
      await directories.quarantine(layer.generation);
      expect(await directories.list()).toEqual([]);
      expect(await directories.quarantined()).toEqual([layer.generation]);
      directories.discard(layer.generation);
      await directories.purgeAll();
      expect(await directories.quarantined()).toEqual([layer.generation]);
    });
  });
}
