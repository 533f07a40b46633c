import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AT_FDCWD,
  FileType,
  lsetxattr,
  type Mount,
  makeDevice,
  mknodat,
  mountAll,
  unmount,
  utimensat,
} from '@longshore/linux';
import { digestOf, MediaType } from '@longshore/oci';
import type { Mount as ApiMount } from '@longshore/proto/containerd/types/mount';
import { type Cases, KEPT, outcome, type Side } from './side.ts';

const CAPABILITY = Buffer.from('0100000200040000000000000000000000000000', 'hex');
const snapshotter = 'overlayfs';
const labels = KEPT;

/** Runs `change` on what a snapshot shows, with times that are the same on both sides. */
async function within(mounts: readonly ApiMount[], change: (root: string) => void): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'longshore-diff-parity-'));
  await mountAll(mounts as readonly Mount[], root);
  try {
    change(root);
    for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
      const time = { seconds: 1_600_000_000 + path.length, nanoseconds: 123_000_000 };
      utimensat(AT_FDCWD, join(root, path), time, time);
    }
  } finally {
    await unmount(root);
    rmdirSync(root);
  }
}

/** What is left and right of a comparison: a parent's view, and a snapshot on top of it. */
async function snapshotsOf(
  { snapshots, options }: Side,
  base: (root: string) => void,
  change: (root: string) => void,
): Promise<{ left: ApiMount[]; right: ApiMount[] }> {
  const first = await snapshots.prepare({ snapshotter, key: 'first', labels }, options);
  await within(first.mounts, base);
  await snapshots.commit({ snapshotter, key: 'first', name: 'base', labels }, options);
  const work = await snapshots.prepare({ snapshotter, key: 'work', parent: 'base', labels }, options);
  await within(work.mounts, change);
  const view = await snapshots.view({ snapshotter, key: 'view', parent: 'base', labels }, options);
  return { left: view.mounts, right: work.mounts };
}

async function layerOf(
  side: Side,
  { left, right }: { left: ApiMount[]; right: ApiMount[] },
): Promise<{ digest: string; members: string[] }> {
  const request = { left, right, mediaType: MediaType.OciLayer, labels };
  const { diff } = await side.diff.diff(request, side.options);
  const { digest = '' } = diff ?? {};
  const read = await Array.fromAsync(side.content.read({ digest, offset: 0n, size: 0n }, side.options));
  const input = Buffer.concat(read.map(({ data }) => data));
  if (digestOf(input) !== digest) throw new Error(`${digest} has other bytes`);
  const args = ['--numeric-owner', '--full-time', '--xattrs', '-tvvf', '-'];
  const listing = execFileSync('tar', args, { input, encoding: 'utf8', env: { ...process.env, TZ: 'UTC' } });
  return { digest, members: listing.split('\n').filter(Boolean) };
}

/** Containerd 1.6 gives whiteouts the time at which they are written. */
function timeless(members: string[]): string[] {
  return members.map((line) =>
    line.includes('.wh.') ? line.replace(/\d{4}-\d\d-\d\d [\d:]+/, 'TIME') : line,
  );
}

function fillBase(root: string): void {
  for (const name of ['kept/deep', 'gone/below', 'emptied', 'renewed/below', 'to-file']) {
    mkdirSync(join(root, name), { recursive: true });
    writeFileSync(join(root, name, 'file'), `base ${name}`);
  }
  for (const name of ['changed', 'deleted', 'linked', 'to-directory', 'to-link']) {
    writeFileSync(join(root, name), `base ${name}`);
  }
  linkSync(join(root, 'linked'), join(root, 'kept/linked-too'));
}

function addFiles(root: string): void {
  const at = (name: string) => join(root, name);
  mkdirSync(at('added'), { mode: 0o700 });
  writeFileSync(at('added/a'), 'two names');
  linkSync(at('added/a'), at('added/b'));
  chmodSync(at('added/a'), 0o4755);
  symlinkSync('/etc/passwd', at('added/symlink'));
  symlinkSync('t'.repeat(150), at('added/long-symlink'));
  writeFileSync(at(`added/${'n'.repeat(255)}`), 'long');
  writeFileSync(at('added/ümläut'), 'not ASCII');
  writeFileSync(at('added/large'), Buffer.alloc(700_000, 'large'));
  mknodat(AT_FDCWD, at('added/null'), FileType.Character | 0o666, makeDevice(1, 3));
  mknodat(AT_FDCWD, at('added/disk'), FileType.Block | 0o660, makeDevice(259, 300));
  mknodat(AT_FDCWD, at('added/pipe'), FileType.Fifo | 0o620, 0);
  mknodat(AT_FDCWD, at('added/socket'), FileType.Socket | 0o600, 0);
  writeFileSync(at('added/capable'), 'x', { mode: 0o755 });
  chownSync(at('added/capable'), 3_000_000, 12);
  lsetxattr(at('added/capable'), 'security.capability', CAPABILITY);
  writeFileSync(at('changed'), 'other than it was');
  writeFileSync(at('kept/deep/file'), 'other than it was');
}

function removeFiles(root: string): void {
  const at = (name: string) => join(root, name);
  for (const name of ['deleted', 'gone', 'emptied/file', 'renewed', 'to-file', 'to-directory', 'to-link']) {
    rmSync(at(name), { recursive: true });
  }
  writeFileSync(at('to-file'), 'a file');
  symlinkSync('changed', at('to-link'));
  mkdirSync(at('to-directory/new'), { recursive: true });
  mkdirSync(at('renewed/below'), { recursive: true });
  writeFileSync(at('renewed/below/new'), 'new');
  linkSync(at('linked'), at('linked-three'));
}

export const DIFF_CASES: Cases = {
  'a layer of what is new, byte by byte': async (side) =>
    layerOf(side, await snapshotsOf(side, fillBase, addFiles)),
  'a layer of what is gone and replaced': async (side) => {
    const { members } = await layerOf(side, await snapshotsOf(side, fillBase, removeFiles));
    return timeless(members);
  },
  'an empty layer': async (side) => layerOf(side, await snapshotsOf(side, fillBase, () => {})),
  'a layer of a first snapshot': async (side) => {
    const { mounts } = await side.snapshots.prepare({ snapshotter, key: 'only', labels }, side.options);
    await within(mounts, fillBase);
    return [
      await layerOf(side, { left: [], right: mounts }),
      await layerOf(side, { left: mounts, right: mounts }),
    ];
  },
  'a layer that is refused, or stored under a name that is in use': async (side) => {
    await side.write({ ref: 'named', action: 1, data: Buffer.from('what is there already') });
    const { mounts } = await side.snapshots.prepare({ snapshotter, key: 'only', labels }, side.options);
    await within(mounts, fillBase);
    const request = { right: mounts, mediaType: MediaType.OciLayer, labels: { ...labels, of: 'mine' } };
    const { diff } = await side.diff.diff({ ...request, ref: 'named' }, side.options);
    return [
      diff,
      await side.labels(diff?.digest ?? ''),
      await side.statuses(),
      await outcome(side.diff.diff({ ...request, mediaType: MediaType.DockerLayer }, side.options)),
      await outcome(
        side.diff.diff({ ...request, right: [{ ...mounts[0]!, source: '/absent' }] }, side.options),
      ),
      await side.statuses(),
    ];
  },
};
