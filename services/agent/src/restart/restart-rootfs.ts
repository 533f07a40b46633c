import { Header } from '@longshore/proto/headers';
import type { Snapshots } from '../snapshots/snapshots.ts';
import type { RootfsOf } from './restart-task.ts';

/**
 * A container's own snapshot, mounted; nothing for one without, whose root is its spec's. SELinux labels of mounts are left
 * out. Source: containerd client/container.go, handleMounts.
 */
export function restartRootfs(snapshots: Pick<Snapshots, 'mounts'>, nodeId: string): RootfsOf {
  return async ({ snapshotter, snapshotKey }, { namespace, signal, deadline }) => {
    if (snapshotKey === '') return [];
    const headers = { [Header.Namespace]: namespace, [Header.Node]: nodeId };
    return snapshots.mounts(
      { snapshotter, key: snapshotKey },
      { namespace, options: { headers, signal, deadline } },
    );
  };
}
