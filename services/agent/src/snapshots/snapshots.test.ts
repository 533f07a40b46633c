import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { failedPrecondition, unavailable } from '@longshore/errors';
import { mountAll, unmountRecursive } from '@longshore/linux';
import { Header } from '@longshore/proto/headers';
import { Kind } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { RecordSchema } from '@longshore/proto/longshore/watch/v1/watch';
import { describe, expect, it } from 'vitest';
import type { TrailersRead } from '../records/node-records.ts';
import { syncedCopy } from '../records/testing/copies.ts';
import type { PrepareRequest } from './snapshots.ts';
import { call, layersUnderTest, NODE_ID } from './testing/layers-under-test.ts';
import { newLayer } from './testing/new-layer.ts';

const snapshotter = 'overlayfs';

function active(key: string, parent = ''): PrepareRequest {
  return { snapshotter, key, parent, kind: 'active', labels: {} };
}

function commit(name: string, key: string) {
  return { snapshotter, name, key, parent: '', labels: {} };
}

/** With a complete copy, which the answers to `call` keep true. */
async function withCopy() {
  const copy = syncedCopy();
  const layers = await layersUnderTest({ copy });
  const onTrailers = (trailers: TrailersRead) => {
    const encoded = trailers.get(Header.RecordBin) as Buffer[];
    copy.apply(encoded.map((bytes) => fromBinary(RecordSchema, bytes)));
  };
  return { ...layers, call: { ...call, options: { ...call.options, onTrailers } } };
}

describe('Snapshots.prepare', () => {
  it('answers the mounts that it answers again later', async () => {
    const { snapshots, overlayfs } = await layersUnderTest();
    await snapshots.prepare(active('base-key'), call);
    await snapshots.commit(commit('base', 'base-key'), call);
    const prepared = await snapshots.prepare(active('key', 'base'), call);
    expect(prepared[0]).toMatchObject({ type: 'overlay', source: 'overlay' });
    expect(await snapshots.mounts({ snapshotter, key: 'key' }, call)).toEqual(prepared);
    expect(await overlayfs.directories.list()).toHaveLength(2);
  });

  it('asks the catalogue once when the copy knows the parent', async () => {
    const { snapshots, catalogue, call } = await withCopy();
    await snapshots.prepare(active('base-key'), call);
    await snapshots.commit(commit('base', 'base-key'), call);
    await snapshots.prepare(active('one', 'base'), call);
    expect(catalogue.calls).toEqual(['prepare', 'commit', 'prepare']);
  });

  it('leaves nothing on disk when it is refused', async () => {
    const { snapshots, overlayfs, catalogue } = await layersUnderTest();
    await snapshots.prepare(active('key'), call);
    await expect(snapshots.prepare(active('key'), call)).rejects.toMatchObject({
      kind: 'AlreadyExists',
      message: 'snapshot "key": already exists',
    });
    await expect(snapshots.prepare(active('other', 'nowhere'), call)).rejects.toMatchObject({
      kind: 'NotFound',
      message: 'parent snapshot nowhere does not exist: not found',
    });
    expect(await overlayfs.directories.list()).toEqual([catalogue.snapshots.get('key')!.generation]);
  });

  it('keeps the directory while it is not known whether there is a record', async () => {
    const { snapshots, overlayfs, catalogue, unsettled } = await layersUnderTest();
    catalogue.faults.set('prepare', { when: 'before', error: unavailable('catalogue') });
    await expect(snapshots.prepare(active('lost'), call)).rejects.toMatchObject({ kind: 'Unavailable' });
    catalogue.faults.set('prepare', { when: 'after', error: unavailable('catalogue') });
    await expect(snapshots.prepare(active('written'), call)).rejects.toMatchObject({ kind: 'Unavailable' });
    expect(await overlayfs.directories.list()).toHaveLength(2);

    await unsettled.settle(catalogue.client, NODE_ID);
    expect(await overlayfs.directories.list()).toEqual([catalogue.snapshots.get('written')!.generation]);
    await unsettled.settle(catalogue.client, NODE_ID);
    expect(await snapshots.mounts({ snapshotter, key: 'written' }, call)).toHaveLength(1);
  });

  it('notices that a parent was removed and made again by another', async () => {
    const { snapshots, overlayfs, catalogue, call } = await withCopy();
    await snapshots.prepare(active('base-key'), call);
    await snapshots.commit(commit('base', 'base-key'), call);
    catalogue.bury('base');
    const other = '00000000000000aa';
    await overlayfs.create(newLayer('active', [], { generation: other }));
    catalogue.add('base', other);
    const [mount] = await snapshots.prepare(active('key', 'base'), call);
    expect(mount!.options.find((option) => option.startsWith('lowerdir='))).toContain(other);
  });

  it('refuses a parent whose directory is gone', async () => {
    const { snapshots, overlayfs, catalogue } = await layersUnderTest();
    catalogue.add('base', '00000000000000aa');
    await expect(snapshots.prepare(active('key', 'base'), call)).rejects.toMatchObject({
      kind: 'Unavailable',
    });
    expect(await overlayfs.directories.list()).toEqual([]);
    expect([...catalogue.snapshots.keys()]).toEqual(['base']);
  });

  it('refuses snapshotters that are not there, in the words of containerd', async () => {
    const { snapshots } = await layersUnderTest();
    await expect(snapshots.prepare({ ...active('key'), snapshotter: 'zfs' }, call)).rejects.toMatchObject({
      kind: 'InvalidArgument',
      message: 'snapshotter not loaded: zfs: invalid argument',
    });
  });
});

describe('Snapshots.mounts', () => {
  it('refuses a committed snapshot', async () => {
    const { snapshots, catalogue } = await layersUnderTest();
    catalogue.add('base', '00000000000000aa');
    await expect(snapshots.mounts({ snapshotter, key: 'base' }, call)).rejects.toMatchObject({
      kind: 'FailedPrecondition',
    });
  });
});

describe('Snapshots with a copy of their records', () => {
  it('are found, mounted and measured without the catalogue', async () => {
    const { snapshots, catalogue, call } = await withCopy();
    await snapshots.prepare(active('base-key'), call);
    await snapshots.commit(commit('base', 'base-key'), call);
    await snapshots.prepare(active('middle-key', 'base'), call);
    await snapshots.commit(commit('middle', 'middle-key'), call);
    const mounts = await snapshots.prepare(active('key', 'middle'), call);
    catalogue.calls.length = 0;
    expect(await snapshots.mounts({ snapshotter, key: 'key' }, call)).toEqual(mounts);
    expect(await snapshots.usage({ snapshotter, key: 'base' }, call)).toMatchObject({ inodes: 1n });
    expect(await snapshots.usage({ snapshotter, key: 'key' }, call)).toMatchObject({ inodes: 1n });
    const [middle, base] = ['middle', 'base'].map((name) => catalogue.snapshots.get(name)!.generation);
    expect(await snapshots.find({ snapshotter, key: 'key' }, call)).toMatchObject({
      parent: 'middle',
      ancestorGenerations: [middle, base],
    });
    await expect(snapshots.find({ snapshotter, key: 'middle-key' }, call)).rejects.toMatchObject({
      kind: 'NotFound',
      message: 'snapshot middle-key does not exist: not found',
    });
    expect(catalogue.calls).toEqual([]);
  });
});

describe('Snapshots.commit', () => {
  it('records what the layer takes', async () => {
    const { snapshots, overlayfs, catalogue } = await layersUnderTest();
    await snapshots.prepare(active('key'), call);
    const { generation } = catalogue.snapshots.get('key')!;
    await writeFile(join(overlayfs.directories.pathOf(generation), 'fs/file'), Buffer.alloc(20_000, 1));
    const live = await snapshots.usage({ snapshotter, key: 'key' }, call);
    expect(live.inodes).toBe(2n);
    expect(live.sizeBytes).toBeGreaterThanOrEqual(20_000n);
    await snapshots.commit(commit('name', 'key'), call);
    expect(catalogue.snapshots.get('name')).toMatchObject({ size: live.sizeBytes, inodes: 2n });

    await writeFile(join(overlayfs.directories.pathOf(generation), 'fs/later'), '');
    expect(await snapshots.usage({ snapshotter, key: 'name' }, call)).toEqual(live);
  });

  it('works for a snapshot that another process of this node prepared', async () => {
    const { snapshots, overlayfs, catalogue } = await layersUnderTest();
    const generation = '00000000000000aa';
    await overlayfs.create(newLayer('active', [], { generation }));
    catalogue.add('key', generation, '', Kind.ACTIVE);
    await snapshots.commit(commit('name', 'key'), call);
    expect(catalogue.snapshots.get('name')).toMatchObject({ generation, inodes: 1n });
  });
});

describe('Snapshots.remove', () => {
  it('takes the layer off the disk', async () => {
    const { snapshots, overlayfs, catalogue } = await layersUnderTest();
    await snapshots.prepare(active('key'), call);
    const { generation } = catalogue.snapshots.get('key')!;
    await snapshots.remove({ snapshotter, key: 'key' }, call);
    expect(await overlayfs.directories.list()).toEqual([]);
    await expect.poll(() => overlayfs.directories.isGone(generation)).toBe(true);
  });

  it('leaves the layer whole while it is mounted', async () => {
    const { snapshots, overlayfs, catalogue } = await layersUnderTest();
    const mounts = await snapshots.prepare(active('key'), call);
    const { generation } = catalogue.snapshots.get('key')!;
    const target = join(overlayfs.directories.base, 'mnt');
    await mkdir(target);
    await mountAll(mounts, target);
    await writeFile(join(target, 'file'), 'in use');
    await snapshots.remove({ snapshotter, key: 'key' }, call);
    expect(await readFile(join(target, 'file'), 'utf8')).toBe('in use');
    await unmountRecursive(target);
    expect(await overlayfs.directories.list()).toEqual([generation]);
  });

  it('changes nothing on disk when the catalogue refuses', async () => {
    const { snapshots, overlayfs, catalogue } = await layersUnderTest();
    await snapshots.prepare(active('key'), call);
    catalogue.faults.set('remove', {
      when: 'before',
      error: failedPrecondition('cannot remove snapshot with child'),
    });
    await expect(snapshots.remove({ snapshotter, key: 'key' }, call)).rejects.toMatchObject({
      kind: 'FailedPrecondition',
    });
    expect(await overlayfs.directories.list()).toHaveLength(1);
  });
});
