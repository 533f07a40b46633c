import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { unavailable } from '@longshore/errors';
import { mountAll, unmountRecursive } from '@longshore/linux';
import { RecordSchema } from '@longshore/proto/longshore/watch/v1/watch';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Housekeeping, type Pauses } from './housekeeping.ts';
import { call, layersUnderTest, log, NODE_ID } from './testing/layers-under-test.ts';
import { newLayer } from './testing/new-layer.ts';

type Layers = Awaited<ReturnType<typeof layersUnderTest>>;

async function startHousekeeping({ catalogue, overlayfs, unsettled, copy }: Layers, pauses?: Pauses) {
  const counts: number[] = [];
  const housekeeping = await Housekeeping.start({
    catalogue: catalogue.client,
    records: copy,
    nodeId: NODE_ID,
    snapshotters: [overlayfs],
    unsettled,
    quarantined: { set: (count) => counts.push(count) },
    log,
    ...(pauses && { pauses }),
  });
  onTestFinished(() => housekeeping.close());
  return { housekeeping, counts };
}

/** A layer that holds a file, and has a record only if the test makes one. */
async function layerOnDisk({ overlayfs }: Layers) {
  const layer = newLayer('active');
  await overlayfs.create(layer);
  await writeFile(join(overlayfs.directories.pathOf(layer.generation), 'fs/file'), 'precious');
  return layer;
}

async function prepared(layers: Layers, key: string) {
  const request = { snapshotter: 'overlayfs', key, parent: '', kind: 'active', labels: {} } as const;
  const mounts = await layers.snapshots.prepare(request, call);
  return { mounts, generation: layers.catalogue.snapshots.get(key)!.generation };
}

describe('Housekeeping', () => {
  it('deletes what the collector removed, and confirms it', async () => {
    const layers = await layersUnderTest();
    const { housekeeping } = await startHousekeeping(layers);
    const { generation } = await prepared(layers, 'collected');
    const kept = await prepared(layers, 'kept');
    layers.catalogue.bury('collected');
    await housekeeping.run();
    expect(layers.catalogue.tombstones.size).toBe(0);
    expect(layers.overlayfs.directories.isGone(generation)).toBe(true);
    expect(await layers.overlayfs.directories.list()).toEqual([kept.generation]);
  });

  it('refuses a layer that is mounted until it is not', async () => {
    const layers = await layersUnderTest();
    const { housekeeping } = await startHousekeeping(layers);
    const { mounts, generation } = await prepared(layers, 'running');
    const target = join(layers.overlayfs.directories.base, 'mnt');
    await mkdir(target);
    await mountAll(mounts, target);
    layers.catalogue.bury('running');
    await housekeeping.run();
    expect([...layers.catalogue.tombstones.keys()]).toEqual([generation]);
    expect(await layers.overlayfs.directories.list()).toEqual([generation]);
    await unmountRecursive(target);
    await housekeeping.run();
    expect(layers.catalogue.tombstones.size).toBe(0);
    expect(await layers.overlayfs.directories.list()).toEqual([]);
  });

  it('asks again when there is word of a removal, and while a mount keeps something', async () => {
    const layers = await layersUnderTest();
    const { catalogue, overlayfs } = layers;
    const { mounts } = await prepared(layers, 'removed');
    const target = join(overlayfs.directories.base, 'mnt');
    await mkdir(target);
    await mountAll(mounts, target);
    const asked = () => catalogue.calls.filter((method) => method === 'listTombstones').length;
    await startHousekeeping(layers, { soonMs: 1, againMs: 50, restMs: 60_000 });
    await expect.poll(asked).toBe(1);
    catalogue.bury('removed');
    layers.copy.apply([
      create(RecordSchema, {
        kind: 'snapshot',
        namespace: 'default',
        key: 'overlayfs/removed',
        revision: 1_000n,
        deleted: true,
      }),
    ]);
    await expect.poll(asked).toBeGreaterThan(2);
    await unmountRecursive(target);
    await expect.poll(() => catalogue.tombstones.size).toBe(0);
    expect(await overlayfs.directories.list()).toEqual([]);
  });

  it('puts aside, whole, what was on disk at the start and has no record', async () => {
    const layers = await layersUnderTest();
    const { generation } = await layerOnDisk(layers);
    const known = await prepared(layers, 'known');
    const { housekeeping, counts } = await startHousekeeping(layers);
    const madeLater = await layerOnDisk(layers);
    await housekeeping.run();
    const { base } = layers.overlayfs.directories;
    expect(await readFile(join(base, '.quarantine', generation, 'fs/file'), 'utf8')).toBe('precious');
    expect((await layers.overlayfs.directories.list()).sort()).toEqual(
      [known.generation, madeLater.generation].sort(),
    );
    expect(counts.at(-1)).toBe(1);
  });

  it('leaves an unknown layer in its place while it is mounted, and puts it aside then', async () => {
    const layers = await layersUnderTest();
    const layer = await layerOnDisk(layers);
    const target = join(layers.overlayfs.directories.base, 'mnt');
    await mkdir(target);
    await mountAll(layers.overlayfs.mounts(layer), target);
    const { housekeeping } = await startHousekeeping(layers);
    await housekeeping.run();
    expect(await layers.overlayfs.directories.list()).toEqual([layer.generation]);
    await unmountRecursive(target);
    await housekeeping.run();
    expect(await layers.overlayfs.directories.quarantined()).toEqual([layer.generation]);
  });

  it('deletes what a killed process had discarded', async () => {
    const layers = await layersUnderTest();
    const { generation } = await layerOnDisk(layers);
    layers.overlayfs.directories.discard(generation);
    await startHousekeeping(layers);
    await expect.poll(() => layers.overlayfs.directories.isGone(generation)).toBe(true);
    expect(await readdir(join(layers.overlayfs.directories.base, '.quarantine'))).toEqual([]);
  });

  it('does all of it once the catalogue is back', async () => {
    const layers = await layersUnderTest();
    const unknown = await layerOnDisk(layers);
    layers.catalogue.faults.set('listTombstones', { when: 'before', error: unavailable('catalogue') });
    const { housekeeping } = await startHousekeeping(layers);
    await expect.poll(() => layers.catalogue.faults.size).toBe(0);
    const { generation } = await prepared(layers, 'collected');
    layers.catalogue.bury('collected');
    await housekeeping.run();
    expect(layers.overlayfs.directories.isGone(generation)).toBe(true);
    expect(await layers.overlayfs.directories.quarantined()).toEqual([unknown.generation]);
  });
});
