import { readMounted } from '@longshore/linux';
import type { SnapshotRootfs } from '../restart/restart-rootfs.ts';
import type { TaskCall } from '../tasks/task-context.ts';
import { userOf } from './user-of.ts';

export interface SnapshotUsersOptions {
  rootfsOf: SnapshotRootfs;
}

export interface WantedUser {
  snapshotter: string;
  key: string;
  user: string;
}

/** A user by the files of a snapshot, which is mounted for that. Throws InvalidArgument for what is no user, and NotFound. */
export async function userOfSnapshot(
  { rootfsOf }: SnapshotUsersOptions,
  { snapshotter, key, user }: WantedUser,
  call: TaskCall,
) {
  const mounts = await rootfsOf({ snapshotter, snapshotKey: key }, call);
  return readMounted(mounts, (rootfs) => userOf(rootfs, user));
}
