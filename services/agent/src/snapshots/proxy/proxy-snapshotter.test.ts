import { join } from 'node:path';
import { Kind as Recorded } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { describeSnapshotter } from '../snapshotter.suite.ts';
import { ForeignSnapshotter, IN_DEFAULT } from '../testing/foreign-snapshotter.ts';
import { call, layersUnderTest } from '../testing/layers-under-test.ts';
import { newLayer } from '../testing/new-layer.ts';
import { scratchDirectory } from '../testing/scratch-directory.ts';
import { ProxySnapshotter } from './proxy-snapshotter.ts';

const snapshotter = 'overlayfs';
const REF = 'containerd.io/snapshot.ref';

let foreign: ForeignSnapshotter;

beforeAll(async () => {
  foreign = await ForeignSnapshotter.start();
});

afterAll(() => foreign[Symbol.asyncDispose]());

async function open(): Promise<ProxySnapshotter> {
  const plugin = { name: snapshotter, address: foreign.address, exports: {}, capabilities: [] };
  const opened = await ProxySnapshotter.open(join(await scratchDirectory(), 'proxy'), plugin);
  onTestFinished(() => opened.close());
  return opened;
}

const stat = async (key: string) => (await foreign.client.stat({ snapshotter, key }, IN_DEFAULT)).info;

/** What a remote snapshotter makes of a layer that it need not unpack. */
async function remote(name: string): Promise<void> {
  const labels = { [REF]: name, 'containerd.io/snapshot/remote': 'yes' };
  await foreign.client.prepare({ snapshotter, key: `${name}-key` }, IN_DEFAULT);
  await foreign.client.commit({ snapshotter, key: `${name}-key`, name, labels }, IN_DEFAULT);
}

const options = { layers: 20, renamesDirectories: false, freesAtOnce: false };
describeSnapshotter("proxy (Debian's containerd)", open, options);

describe('ProxySnapshotter', () => {
  it('calls a snapshot as containerd would, and shows it the labels that are meant for it', async () => {
    const driver = await open();
    const layer = newLayer('active', [], {
      key: 'a key',
      labels: { mine: '1', 'containerd.io/snapshot/x': '2' },
    });
    await driver.create(layer);
    const { name } = driver.directories.get(layer.generation);
    expect(name).toBe(`default/${BigInt(`0x${layer.generation}`)}/a key`);
    expect((await stat(name))?.labels).toEqual({ 'containerd.io/snapshot/x': '2' });
    await driver.relabel(layer.generation, { mine: '3', 'containerd.io/snapshot/y': '4' }, []);
    expect((await stat(name))?.labels).toEqual({ 'containerd.io/snapshot/y': '4' });
    await driver.relabel(layer.generation, { mine: '5' }, ['labels.mine']);
    const labels = { 'containerd.io/snapshot/z': '6', 'containerd.io/snapshot/y': '7' };
    await driver.relabel(layer.generation, labels, ['labels.containerd.io/snapshot/z']);
    expect((await stat(name))?.labels).toEqual({
      'containerd.io/snapshot/y': '4',
      'containerd.io/snapshot/z': '6',
    });
  });

  it('removes what it found ready once no layer of this node is it any more', async () => {
    const driver = await open();
    await remote('shared');
    const layers = [
      newLayer('active', [], { labels: { [REF]: 'shared' } }),
      newLayer('active', [], { labels: { [REF]: 'shared' } }),
    ];
    const labels = { [REF]: 'shared', 'containerd.io/snapshot/remote': 'yes' };
    for (const layer of layers) expect(await driver.create(layer)).toEqual({ kind: 'found', labels });
    for (const [n, { generation }] of layers.entries()) {
      driver.directories.discard(generation);
      await driver.directories.purge(generation);
      if (n === 0) expect(await stat('shared')).toBeDefined();
    }
    await expect(stat('shared')).rejects.toMatchObject({ kind: 'NotFound' });
  });

  it('says at once that nobody serves, keeps what is to be removed, and goes on when somebody does', async () => {
    const driver = await open();
    const [base, gone] = [newLayer('active'), newLayer('active')];
    for (const layer of [base, gone]) await driver.create(layer);
    await foreign.kill();
    await expect(driver.create(newLayer('active'))).rejects.toMatchObject({ kind: 'Unavailable' });
    driver.directories.discard(gone.generation);
    await expect(driver.directories.purge(gone.generation)).rejects.toMatchObject({ kind: 'Unavailable' });
    expect(driver.directories.isGone(gone.generation)).toBe(false);
    await foreign.resume();
    await expect
      .poll(() =>
        driver.directories.purge(gone.generation).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    expect(driver.directories.isGone(gone.generation)).toBe(true);
    expect(await driver.mounts(base)).toHaveLength(1);
  });
});

describe('Snapshots with a remote snapshotter', () => {
  it('records what the snapshotter found, says that it exists, and makes children of it', async () => {
    const driver = await open();
    const { snapshots, catalogue } = await layersUnderTest({ driver });
    await remote('sha256:base');
    const labels = { [REF]: 'sha256:base', mine: '1' };
    const request = {
      snapshotter,
      key: 'extract-1 sha256:base',
      parent: '',
      kind: 'active',
      labels,
    } as const;
    await expect(snapshots.prepare(request, call)).rejects.toMatchObject({
      kind: 'AlreadyExists',
      message: expect.stringMatching(/^target snapshot "sha256:base" from snapshotter/),
    });
    expect([...catalogue.snapshots.keys()]).toEqual(['sha256:base']);
    expect(catalogue.snapshots.get('sha256:base')).toMatchObject({
      kind: Recorded.COMMITTED,
      labels: { ...labels, 'containerd.io/snapshot/remote': 'yes' },
    });
    const child = { ...request, key: 'rw', parent: 'sha256:base', labels: {} };
    expect(await snapshots.prepare(child, call)).toMatchObject([{ type: 'overlay' }]);
    expect(await snapshots.mounts({ snapshotter, key: 'rw' }, call)).toMatchObject([{ type: 'overlay' }]);
    await snapshots.remove({ snapshotter, key: 'rw' }, call);
  });

  it('finishes a commit of which the catalogue did not hear', async () => {
    const driver = await open();
    const { snapshots, catalogue } = await layersUnderTest({ driver });
    const request = { snapshotter, key: 'key', parent: '', kind: 'active', labels: {} } as const;
    await snapshots.prepare(request, call);
    const commit = { snapshotter, name: 'name', key: 'key', parent: '', labels: {} };
    catalogue.faults.set('commit', { when: 'before', error: new Error('cut') });
    await expect(snapshots.commit(commit, call)).rejects.toThrow('cut');
    await snapshots.commit(commit, call);
    expect(catalogue.snapshots.get('name')).toMatchObject({ kind: Recorded.COMMITTED });
    await snapshots.prepare({ ...request, parent: 'name' }, call);
  });
});
