import { chmodSync, cpSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { mountToProto } from '../rpc/convert-mount.ts';
import { OverlayfsSnapshotter } from '../snapshots/overlayfs/overlayfs-snapshotter.ts';
import { newLayer } from '../snapshots/testing/new-layer.ts';
import { startProcess } from './process-operations.ts';
import { CALL, SOON, TaskFixture } from './task-fixture.testing.ts';

const IDS = 65_536;
const [UID, GID] = [100_000, 200_000];

let node: TaskFixture;

afterEach(() => node.close());

describe('a container in a user namespace', () => {
  it('reads and writes its rootfs as root, whose files below are nobody else’s, and leaves nothing mounted', async () => {
    node = await TaskFixture.open();
    // Root of the namespace is nobody here.
    chmodSync(node.directory, 0o711);
    const snapshotter = await OverlayfsSnapshotter.open(join(node.directory, 'overlayfs'));
    const fs = ({ generation }: { generation: string }) =>
      join(snapshotter.directories.pathOf(generation), 'fs');
    const image = newLayer('active');
    await snapshotter.create(image);
    cpSync(join(node.directory, 'image'), fs(image), { recursive: true });
    const labels = {
      'containerd.io/snapshot/uidmapping': `0:${UID}:${IDS}`,
      'containerd.io/snapshot/gidmapping': `0:${GID}:${IDS}`,
    };
    const layer = newLayer('active', [image.generation], { labels });
    await snapshotter.create(layer);

    const script =
      'cd /; id -u; stat -c %u:%g bin/busybox; mkdir new && mv tmp/ new/ && echo changed > bin/added && ls -n bin/added | cut -c 1-3';
    const { linux } = node.spec('web', []) as { linux: { namespaces: object[] } };
    const spec = {
      linux: {
        ...linux,
        namespaces: [...linux.namespaces, { type: 'user' }],
        uidMappings: [{ containerID: 0, hostID: UID, size: IDS }],
        gidMappings: [{ containerID: 0, hostID: GID, size: IDS }],
      },
    };
    const rootfs = snapshotter.mounts(layer).map(mountToProto);
    const task = await node.create('web', ['sh', '-ec', `(${script}) > /said 2>&1`], spec, { rootfs });
    await startProcess(node.manager.context, task, '', CALL);
    await expect.poll(() => node.exits('web'), SOON).toMatchObject([{ exitStatus: 0 }]);
    expect(readFileSync(join(fs(layer), 'said'), 'utf8')).toBe('0\n0:0\n-rw\n');
    for (const path of ['new', 'bin/added']) {
      expect(statSync(join(fs(layer), path))).toMatchObject({ uid: UID, gid: GID });
    }
    expect(statSync(join(fs(image), 'bin/busybox'))).toMatchObject({ uid: 0, gid: 0 });
    await node.manager.delete(CALL, 'web');
    expect(node.leftovers()).toEqual([]);
  });
});
