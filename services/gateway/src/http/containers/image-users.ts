import { randomBytes } from 'node:crypto';
import { failedPrecondition, isKind } from '@longshore/errors';
import type { UserFiles } from '@longshore/oci/runtime-spec';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { StdioService } from '@longshore/proto/longshore/node/v1/stdio';
import { withLease } from '@longshore/transfer';
import type { NodeConnection } from '../../nodes/node-connection.ts';
import type { RequestCall } from '../request-call.ts';

/** Who knows no files knows root. */
export const ROOT_ONLY: UserFiles = {
  passwd: () => 'root:x:0:0:root:/root:/bin/sh\n',
  group: () => undefined,
};

export interface ImageUser {
  snapshotter: string;
  /** The image's, unpacked. */
  chainId: string;
  user: string;
}

/**
 * What an image's own files say of one user, looked up by its node in a view of the image that is there for that time. An id needs no
 * looking up. Throws InvalidArgument for what is no user, NotFound for a name that the files do not have.
 */
export async function imageUsers(
  agent: Pick<NodeConnection, 'client'>,
  call: RequestCall,
  { snapshotter, chainId, user }: ImageUser,
): Promise<UserFiles> {
  if (chainId === '' || /^(\d+(:\d+)?|root)?$/.test(user)) return ROOT_ONLY;
  const snapshots = agent.client(Snapshots);
  const key = `users-${randomBytes(8).toString('hex')}`;
  const found = await withLease(agent.client(Leases), call, async (leased) => {
    try {
      await snapshots.view({ snapshotter, key, parent: chainId }, leased);
    } catch (error) {
      if (!isKind(error, 'NotFound')) throw error;
      throw failedPrecondition(`user ${JSON.stringify(user)}: the image is not unpacked on its node`, {
        cause: error,
      });
    }
    try {
      return await agent.client(StdioService).findUser({ snapshotter, key, user }, leased);
    } finally {
      // Its caller may have gone; what stays is collected.
      await snapshots.remove({ snapshotter, key }, { headers: call.headers }).catch(() => undefined);
    }
  });
  const [name = '', group = ''] = user.split(':');
  const login = /^\d+$/.test(name) ? `user-${name}` : name;
  const own = group !== '' && !/^\d+$/.test(group) ? [`${group}:x:${found.gid}:`] : [];
  const listing = found.additionalGids.map((gid) => `group-${gid}:x:${gid}:${login}`);
  return {
    passwd: () => `${login}:x:${found.uid}:${found.gid}::/:\n`,
    group: () => [...own, ...listing].join('\n'),
  };
}
