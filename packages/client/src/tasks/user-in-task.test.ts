import type { DescService } from '@bufbuild/protobuf';
import { isKind } from '@longshore/errors';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { StdioService } from '@longshore/proto/longshore/node/v1/stdio';
import { describe, expect, it } from 'vitest';
import type { Connection } from '../connection/connection.ts';
import { userInTask } from './user-in-task.ts';

/** Its task has a pid that this machine has too: this very process's. Its node knows one user, `root`, as nobody else does. */
function connection(isLocal: boolean, snapshotKey = 'c'): Pick<Connection, 'isLocal' | 'service'> {
  const services = new Map<DescService, object>([
    [Containers, { get: async () => ({ container: { snapshotter: 'overlayfs', snapshotKey } }) }],
    [StdioService, { findUser: async () => ({ uid: 70, gid: 71, additionalGids: [71, 72] }) }],
  ]);
  const tasks = { get: async () => ({ process: { pid: process.pid } }) };
  const service = (asked: DescService) => services.get(asked) ?? tasks;
  return { isLocal, service: service as unknown as Connection['service'] };
}

describe('userInTask', () => {
  it("never reads this machine's files for a container of another one, but has its node read them", async () => {
    const found = await userInTask(connection(false), 'c', 'root', {});
    expect(found).toEqual({ uid: 70, gid: 71, additionalGids: [71, 72] });
  });

  it('takes ids, and no names, in a container of another machine that has no snapshot', async () => {
    const byName = userInTask(connection(false, ''), 'c', 'root', {});
    await expect(byName).rejects.toSatisfy((error) => isKind(error, 'FailedPrecondition'));
    expect(await userInTask(connection(false, ''), 'c', '7:8', {})).toMatchObject({ uid: 7, gid: 8 });
  });

  it('goes by the files of a container of this one', async () => {
    expect(await userInTask(connection(true), 'c', 'root', {})).toMatchObject({ uid: 0, gid: 0 });
  });
});
