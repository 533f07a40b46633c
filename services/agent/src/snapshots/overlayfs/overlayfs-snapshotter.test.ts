import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, lchown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mountAll, readMountInfo, unmountRecursive } from '@longshore/linux';
import { describe, expect, it } from 'vitest';
import { newGeneration } from '../layer-directories.ts';
import { readMountedLayers } from '../mounted-layers.ts';
import { describeSnapshotter } from '../snapshotter.suite.ts';
import type { Layer } from '../snapshotter.ts';
import { newLayer } from '../testing/new-layer.ts';
import { scratchDirectory } from '../testing/scratch-directory.ts';
import { OverlayfsSnapshotter } from './overlayfs-snapshotter.ts';

async function open(): Promise<OverlayfsSnapshotter> {
  return OverlayfsSnapshotter.open(join(await scratchDirectory(), 'overlayfs'));
}

describeSnapshotter('overlayfs', open, { layers: 50, renamesDirectories: false });

async function layerOf(snapshotter: OverlayfsSnapshotter, kind: Layer['kind'], ancestors: string[] = []) {
  const layer = newLayer(kind, ancestors);
  await snapshotter.create(layer);
  return layer;
}

/** Generations of layers of which each holds one file named after its place, nearest first. */
async function chain(snapshotter: OverlayfsSnapshotter, length: number): Promise<string[]> {
  let ancestors: string[] = [];
  for (let index = 0; index < length; index++) {
    const { generation } = await layerOf(snapshotter, 'active', ancestors);
    await writeFile(join(fsOf(snapshotter, generation), `file${index}`), `${index}`);
    ancestors = [generation, ...ancestors];
  }
  return ancestors;
}

function fsOf(snapshotter: OverlayfsSnapshotter, generation: string): string {
  return join(snapshotter.directories.pathOf(generation), 'fs');
}

async function mounted(snapshotter: OverlayfsSnapshotter, layer: Layer): Promise<string> {
  const target = join(snapshotter.directories.base, `mnt-${layer.generation}`);
  await mkdir(target);
  await mountAll(snapshotter.mounts(layer), target);
  return target;
}

const INDEX_OFF = existsSync('/sys/module/overlay/parameters/index') ? ['index=off'] : [];

describe('OverlayfsSnapshotter.mounts', () => {
  it('binds a layer without a parent', async () => {
    const snapshotter = await open();
    for (const [kind, access] of [
      ['active', 'rw'],
      ['view', 'ro'],
    ] as const) {
      const layer = await layerOf(snapshotter, kind);
      const source = fsOf(snapshotter, layer.generation);
      expect(snapshotter.mounts(layer)).toEqual([{ type: 'bind', source, options: [access, 'rbind'] }]);
    }
  });

  it('binds the parent of a view that has but one', async () => {
    const snapshotter = await open();
    const [parent] = (await chain(snapshotter, 1)) as [string];
    const view = await layerOf(snapshotter, 'view', [parent]);
    const source = fsOf(snapshotter, parent);
    expect(snapshotter.mounts(view)).toEqual([{ type: 'bind', source, options: ['ro', 'rbind'] }]);
  });

  it('gives the options of an overlay in the order of containerd', async () => {
    const snapshotter = await open();
    const ancestors = await chain(snapshotter, 2);
    const lower = `lowerdir=${ancestors.map((one) => fsOf(snapshotter, one)).join(':')}`;
    const active = await layerOf(snapshotter, 'active', ancestors);
    const work = join(snapshotter.directories.pathOf(active.generation), 'work');
    expect(snapshotter.mounts(active)).toEqual([
      {
        type: 'overlay',
        source: 'overlay',
        options: [`workdir=${work}`, `upperdir=${fsOf(snapshotter, active.generation)}`, lower, ...INDEX_OFF],
      },
    ]);
    const view = await layerOf(snapshotter, 'view', ancestors);
    expect(snapshotter.mounts(view)).toEqual([
      { type: 'overlay', source: 'overlay', options: [lower, ...INDEX_OFF] },
    ]);
  });
});

describe('OverlayfsSnapshotter, mounted', () => {
  it('shows all ancestors and writes to the own layer only', async () => {
    const snapshotter = await open();
    const ancestors = await chain(snapshotter, 3);
    const layer = await layerOf(snapshotter, 'active', ancestors);
    const target = await mounted(snapshotter, layer);
    expect((await readdir(target)).sort()).toEqual(['file0', 'file1', 'file2']);
    await writeFile(join(target, 'file0'), 'changed');
    expect(await readFile(join(fsOf(snapshotter, layer.generation), 'file0'), 'utf8')).toBe('changed');
    expect(await readFile(join(fsOf(snapshotter, ancestors[2]!), 'file0'), 'utf8')).toBe('0');
  });

  it.each([0, 1, 2])('a view of %i ancestors cannot be written to', async (length) => {
    const snapshotter = await open();
    const target = await mounted(
      snapshotter,
      await layerOf(snapshotter, 'view', await chain(snapshotter, length)),
    );
    expect(await readdir(target)).toHaveLength(length);
    await expect(writeFile(join(target, 'new'), '')).rejects.toMatchObject({ code: 'EROFS' });
  });

  it('mounts 50 layers', async () => {
    const snapshotter = await open();
    const target = await mounted(
      snapshotter,
      await layerOf(snapshotter, 'active', await chain(snapshotter, 50)),
    );
    expect(await readdir(target)).toHaveLength(50);
  });

  it('is known to be in use by its own layer, its ancestors and a bind mount', async () => {
    const snapshotter = await open();
    const ancestors = await chain(snapshotter, 2);
    const layer = await layerOf(snapshotter, 'active', ancestors);
    const unused = await layerOf(snapshotter, 'active', ancestors);
    const view = await layerOf(snapshotter, 'view', []);
    const targets = [await mounted(snapshotter, layer), await mounted(snapshotter, view)];
    const isMounted = readMountedLayers();
    for (const generation of [layer.generation, view.generation, ...ancestors]) {
      expect(isMounted(generation)).toBe(true);
    }
    expect(isMounted(unused.generation)).toBe(false);
    for (const target of targets) await unmountRecursive(target);
    expect(readMountedLayers()(ancestors[0]!)).toBe(false);
  });
});

describe('OverlayfsSnapshotter.create', () => {
  it("takes over the parent's owner, and no mode", async () => {
    const snapshotter = await open();
    const [parent] = (await chain(snapshotter, 1)) as [string];
    await lchown(fsOf(snapshotter, parent), 1000, 1001);
    await chmod(fsOf(snapshotter, parent), 0o700);
    const { generation } = await layerOf(snapshotter, 'active', [parent]);
    const { uid, gid, mode } = await stat(fsOf(snapshotter, generation));
    expect({ uid, gid, mode: mode & 0o7777 }).toEqual({ uid: 1000, gid: 1001, mode: 0o755 });
  });

  it('makes a work directory for what is written to', async () => {
    const snapshotter = await open();
    const { generation } = await layerOf(snapshotter, 'active');
    expect((await readdir(snapshotter.directories.pathOf(generation))).sort()).toEqual(['fs', 'work']);
    const view = await layerOf(snapshotter, 'view');
    expect(await readdir(snapshotter.directories.pathOf(view.generation))).toEqual(['fs']);
  });

  it('fails with NotFound when the parent is not on disk', async () => {
    const snapshotter = await open();
    await expect(layerOf(snapshotter, 'active', [newGeneration()])).rejects.toMatchObject({
      kind: 'NotFound',
    });
  });
});

describe('OverlayfsSnapshotter for a user namespace', () => {
  const labels = {
    'containerd.io/snapshot/uidmapping': '0:100000:65536',
    'containerd.io/snapshot/gidmapping': '0:200000:65536',
  };

  it('shows what lies below as owned by the namespace, and keeps what is written as it is', async () => {
    const snapshotter = await open();
    expect(snapshotter.capabilities).toContain('remap-ids');
    const ancestors = await chain(snapshotter, 2);
    const layer = newLayer('active', ancestors, { labels });
    await snapshotter.create(layer);
    expect(snapshotter.mounts(layer)[0]?.options.slice(0, 2)).toEqual([
      'uidmap=0:100000:65536',
      'gidmap=0:200000:65536',
    ]);
    const target = await mounted(snapshotter, layer);
    for (const path of ['', 'file0', 'file1']) {
      expect(await stat(join(target, path))).toMatchObject({ uid: 100_000, gid: 200_000 });
    }
    const asRoot = { uid: 100_000, gid: 200_000 };
    execFileSync('sh', ['-c', 'echo mine > own && echo changed > file0'], { cwd: target, ...asRoot });
    const upper = fsOf(snapshotter, layer.generation);
    for (const path of ['own', 'file0']) expect(await stat(join(upper, path))).toMatchObject(asRoot);
    expect(await stat(join(fsOf(snapshotter, ancestors[1]!), 'file0'))).toMatchObject({ uid: 0, gid: 0 });
  });

  it('gives a root of its own to a layer on nothing', async () => {
    const snapshotter = await open();
    const layer = newLayer('active', [], { labels });
    await snapshotter.create(layer);
    expect(await stat(await mounted(snapshotter, layer))).toMatchObject({ uid: 100_000, gid: 200_000 });
  });

  it('refuses a mapping that is none, and leaves nothing', async () => {
    const snapshotter = await open();
    const wrong = newLayer('active', [], { labels: { 'containerd.io/snapshot/uidmapping': 'all' } });
    await expect(snapshotter.create(wrong)).rejects.toMatchObject({ kind: 'InvalidArgument' });
    expect(await snapshotter.directories.list()).toEqual([]);
  });

  it('mounts with attributes that a user namespace may set, when it runs in one', async () => {
    const base = join(await scratchDirectory(), 'overlayfs');
    const program = `
      import { OverlayfsSnapshotter } from ${JSON.stringify(new URL('./overlayfs-snapshotter.ts', import.meta.url))};
      const snapshotter = await OverlayfsSnapshotter.open(${JSON.stringify(base)});
      const layer = { generation: 'a', kind: 'active', ancestors: ['b', 'c'], labels: {} };
      console.log(JSON.stringify(snapshotter.mounts(layer)[0].options));`;
    const node = [process.execPath, '--input-type=module', '-e', program];
    const printed = execFileSync('unshare', ['--user', '--map-root-user', '--mount', '--', ...node]);
    expect(JSON.parse(printed.toString())).toContain('userxattr');
  });
});

describe('OverlayfsSnapshotter.create with a limit', () => {
  it.each([
    ['1048576', 'FailedPrecondition', /keeps no quotas of projects/],
    ['1 GB', 'InvalidArgument', /max-bytes/],
  ])('refuses %j where it cannot be kept', async (limit, kind, message) => {
    const snapshotter = await open();
    const base = snapshotter.directories.base;
    // No quotas there, whatever this machine's disk has.
    await mountAll([{ type: 'tmpfs', source: 'tmpfs', options: [] }], base);
    const layer = newLayer('active', [], { labels: { 'longshore.io/snapshot.max-bytes': limit } });
    await expect(snapshotter.create(layer)).rejects.toMatchObject({
      kind,
      message: expect.stringMatching(message),
    });
  });
});

describe('OverlayfsSnapshotter.open', () => {
  it('leaves nothing of its trial behind', async () => {
    const snapshotter = await open();
    const { base } = snapshotter.directories;
    expect((await readdir(base)).sort()).toEqual(['.quarantine', '.trash']);
    expect(readMountInfo().filter((info) => info.mountPoint.startsWith(base))).toEqual([]);
  });

  it('refuses a path that overlay options cannot hold', async () => {
    const base = join(await scratchDirectory(), 'a:b');
    await expect(OverlayfsSnapshotter.open(base)).rejects.toMatchObject({ kind: 'FailedPrecondition' });
  });

  it('refuses a file system that cannot hold upper directories', async () => {
    const base = await scratchDirectory();
    const options = [`lowerdir=${base}/l`, `upperdir=${base}/u`, `workdir=${base}/w`];
    for (const name of ['l', 'u', 'w', 'm']) await mkdir(join(base, name));
    await mountAll([{ type: 'overlay', source: 'overlay', options }], join(base, 'm'));
    await expect(OverlayfsSnapshotter.open(join(base, 'm', 'deep'))).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message: expect.stringMatching(/^overlayfs below /),
    });
  });
});
