import type { Mount } from '@longshore/linux';
import type { Container } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Header } from '@longshore/proto/headers';
import type { Snapshots } from '../snapshots/snapshots.ts';
import type { TaskCall } from '../tasks/task-context.ts';

/** What mounts the snapshot that a container's record names, or will name. */
export type SnapshotRootfs = (
  container: Pick<Container, 'snapshotter' | 'snapshotKey'>,
  call: TaskCall,
) => Promise<readonly Mount[]>;

/**
 * A container's own snapshot, mounted; nothing for one without, whose root is its spec's. SELinux labels of mounts are left
 * out. Source: containerd client/container.go, handleMounts.
 */
export function restartRootfs(snapshots: Pick<Snapshots, 'mounts'>, nodeId: string): SnapshotRootfs {
  return async ({ snapshotter, snapshotKey }, { namespace, signal, deadline }) => {
    if (snapshotKey === '') return [];
    const headers = { [Header.Namespace]: namespace, [Header.Node]: nodeId };
    return snapshots.mounts(
      { snapshotter, key: snapshotKey },
      { namespace, options: { headers, signal, deadline } },
    );
  };
}
