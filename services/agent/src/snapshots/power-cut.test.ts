import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { unmount } from '@longshore/linux';
import { MediaType } from '@longshore/oci';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LayerApplier } from '../diff/apply.ts';
import { archive, file } from '../diff/testing/layers.ts';
import { call, layersUnderTest } from './testing/layers-under-test.ts';
import { scratchDirectory } from './testing/scratch-directory.ts';

const run = promisify(execFile);

const DISK_BYTES = 32 * 1024 * 1024;
const FILES = 200;
const snapshotter = 'overlayfs';

/** A disk of its own, and a way to see what would be on it had the power been cut right now. */
async function disk() {
  const directory = await scratchDirectory();
  const device = join(directory, 'device');
  await writeFile(device, '');
  await truncate(device, DISK_BYTES);
  await run('mkfs.ext4', ['-q', '-F', device]);
  const mount = async (from: string, at: string) => {
    await mkdir(at);
    await run('mount', ['-o', 'loop', from, at]);
    onTestFinished(() => unmount(at));
    return at;
  };
  const path = await mount(device, join(directory, 'mounted'));
  const cutPower = async () => {
    // What the file system has not written yet is not in the copy.
    await run('cp', ['--sparse=always', device, `${device}-after`]);
    return mount(`${device}-after`, join(directory, 'after'));
  };
  return { path, cutPower };
}

describe('power that is cut', () => {
  it('after a commit: the layer is whole', async () => {
    const { path, cutPower } = await disk();
    const { snapshots, catalogue } = await layersUnderTest({ directory: path });
    await using applier = new LayerApplier({ tempDirectory: await scratchDirectory() });
    const mounts = await snapshots.prepare(
      { snapshotter, key: 'extract', parent: '', kind: 'active', labels: {} },
      call,
    );
    const names = Array.from({ length: FILES }, (_, n) => `file-${n}`);
    const source = Readable.from([await archive(...names.map((name) => file(name)))]);
    await applier.applyLayer({ source, mediaType: MediaType.OciLayer, mounts });
    await snapshots.commit({ snapshotter, key: 'extract', name: 'layer', parent: '', labels: {} }, call);
    const { generation } = catalogue.snapshots.get('layer')!;
    const after = await cutPower();
    const layer = join(after, 'overlayfs', generation, 'fs');
    expect((await readdir(layer)).sort()).toEqual(names.sort());
    for (const name of names) expect(await readFile(join(layer, name), 'utf8')).toBe('content');
  });
});
