import { failedPrecondition } from '@longshore/errors';
import {
  composeSpecOptions,
  rootfsUserFiles,
  type SpecOption,
  type UserFiles,
  withAdditionalGids,
  withUser,
} from '@longshore/oci/runtime-spec';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { findUser, NO_FILES, NUMERIC_USER } from '../users/find-user.ts';
import type { ContainerDraft } from './container-draft.ts';

/**
 * A user by the files of the snapshot of a container that is being made, with the groups that list it. Without a snapshot ids mean
 * themselves, and a name is FailedPrecondition. Throws NotFound for a name that the files do not have.
 */
export async function draftUser(draft: ContainerDraft, text: string): Promise<SpecOption> {
  const { connection, call, record } = draft;
  const { snapshotter = '', snapshotKey: key = '' } = record;
  if (key !== '' && !connection.isLocal) return findUser(connection, { snapshotter, key, user: text }, call);
  if (key === '' && !NUMERIC_USER.test(text)) {
    const user = `user ${JSON.stringify(text)} cannot be looked up`;
    throw failedPrecondition(`container ${JSON.stringify(draft.id)}: ${user}, it has no snapshot yet`);
  }
  const files = await draftUserFiles(draft);
  const [name = ''] = text.split(':');
  return composeSpecOptions(withUser(text, files), withAdditionalGids(name, files));
}

/** The files themselves, on the server's machine, by root. None without a snapshot. */
export async function draftUserFiles({ connection, call, record }: ContainerDraft): Promise<UserFiles> {
  const { snapshotter = '', snapshotKey: key = '' } = record;
  if (key === '') return NO_FILES;
  const { mounts } = await connection.service(Snapshots).mounts({ snapshotter, key }, call);
  // Few who load this package mount anything.
  const { readMounted } = await import('@longshore/linux');
  return readMounted(mounts, (rootfs) => {
    const files = rootfsUserFiles(rootfs);
    const [passwd, group] = [files.passwd(), files.group()];
    return { passwd: () => passwd, group: () => group };
  });
}
