import { failedPrecondition } from '@longshore/errors';
import type { UserFiles } from '@longshore/oci/runtime-spec';
import { rootfsUserFiles } from '@longshore/oci/runtime-spec';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import type { ContainerDraft } from './container-draft.ts';

const NONE: UserFiles = { passwd: () => undefined, group: () => undefined };

/**
 * The users of the snapshot of a container that is being made. They are read on the server's machine, by root: elsewhere there are none,
 * which is FailedPrecondition when they are needed.
 */
export async function userFilesOf(draft: ContainerDraft, areNeeded: boolean): Promise<UserFiles> {
  const { connection, call, record } = draft;
  if (!record.snapshotKey || !connection.isLocal) {
    if (!areNeeded) return NONE;
    const why = record.snapshotKey ? 'its files are on another machine' : 'it has no snapshot yet';
    throw failedPrecondition(`container ${JSON.stringify(draft.id)}: users by name cannot be read, ${why}`);
  }
  const { snapshotter = '', snapshotKey } = record;
  const { mounts } = await connection.service(Snapshots).mounts({ snapshotter, key: snapshotKey }, call);
  // Few who load this package mount anything.
  const { readMounted } = await import('@longshore/linux');
  return readMounted(mounts, (rootfs) => {
    const files = rootfsUserFiles(rootfs);
    const [passwd, group] = [files.passwd(), files.group()];
    return { passwd: () => passwd, group: () => group };
  });
}
