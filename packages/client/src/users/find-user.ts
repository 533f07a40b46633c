import {
  composeSpecOptions,
  type SpecOption,
  type UserFiles,
  withAppendAdditionalGroups,
  withUidGid,
} from '@longshore/oci/runtime-spec';
import { StdioService } from '@longshore/proto/longshore/node/v1/stdio';
import type { CallOptions } from '@longshore/rpc';
import type { Connection } from '../connection/connection.ts';

/** Of a root file system that cannot be read here. */
export const NO_FILES: UserFiles = { passwd: () => undefined, group: () => undefined };

/** Ids: without files they mean themselves. */
export const NUMERIC_USER = /^\d+(:\d+)?$/;

export interface SnapshotUser {
  readonly snapshotter: string;
  readonly key: string;
  /** `user`, `uid`, `user:group` or `uid:gid`. */
  readonly user: string;
}

/**
 * A user as the files of a snapshot on another machine know it, with all groups that list it; its node reads them. Throws InvalidArgument
 * for what is no user, NotFound for a name that they do not have.
 */
export async function findUser(
  connection: Pick<Connection, 'service'>,
  wanted: SnapshotUser,
  call: CallOptions,
): Promise<SpecOption> {
  const { uid, gid, additionalGids } = await connection.service(StdioService).findUser(wanted, call);
  // The main group is among the others by itself.
  const others = additionalGids.filter((other) => other !== gid).map(String);
  return composeSpecOptions(withUidGid(uid, gid), withAppendAdditionalGroups(others, NO_FILES));
}
