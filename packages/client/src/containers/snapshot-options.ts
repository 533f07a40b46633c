import { chainIds } from '@longshore/oci';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { DEFAULT_SNAPSHOTTER } from '../snapshots/snapshotter.ts';
import type { ContainerDraft, ContainerOption } from './container-draft.ts';
import type { ContainerImage } from './container-image.ts';

/** For options that come after it. */
export function withSnapshotter(name: string): ContainerOption {
  return ({ record }) => {
    record.snapshotter = name;
  };
}

/** A root file system that is there already. */
export function withSnapshot(key: string): ContainerOption {
  return ({ record }) => {
    record.snapshotter ||= DEFAULT_SNAPSHOTTER;
    record.snapshotKey = key;
  };
}

/** A writable root file system of its own over the image's, which must be unpacked: else the error is NotFound. */
export function withNewSnapshot(key: string, image: ContainerImage): ContainerOption {
  return (draft) => fromImage('prepare', draft, key, image);
}

/** A root file system that cannot be written to. */
export function withNewSnapshotView(key: string, image: ContainerImage): ContainerOption {
  return (draft) => fromImage('view', draft, key, image);
}

async function fromImage(
  how: 'prepare' | 'view',
  draft: ContainerDraft,
  key: string,
  image: ContainerImage,
): Promise<void> {
  const { connection, call, record } = draft;
  const snapshotter = record.snapshotter || DEFAULT_SNAPSHOTTER;
  const { rootfs } = await image.config(call);
  const parent = chainIds(rootfs.diff_ids).at(-1) ?? '';
  await connection.service(Snapshots)[how]({ snapshotter, key, parent }, call);
  record.snapshotter = snapshotter;
  record.snapshotKey = key;
}
