import { isKind } from '@longshore/errors';
import { describe, expect, it } from 'vitest';
import type { Connection } from '../connection/connection.ts';
import { userInTask } from './user-in-task.ts';

/** Its task has a pid that this machine has too: this very process's. */
function connection(isLocal: boolean): Pick<Connection, 'isLocal' | 'service'> {
  const service = () => ({ get: async () => ({ process: { pid: process.pid } }) });
  return { isLocal, service: service as unknown as Connection['service'] };
}

describe('userInTask', () => {
  it("never reads this machine's files for a container of another one", async () => {
    const byName = userInTask(connection(false), 'c', 'root', {});
    await expect(byName).rejects.toSatisfy((error) => isKind(error, 'FailedPrecondition'));
    expect(await userInTask(connection(false), 'c', '7:8', {})).toMatchObject({ uid: 7, gid: 8 });
  });

  it('goes by the files of a container of this one', async () => {
    expect(await userInTask(connection(true), 'c', 'root', {})).toMatchObject({ uid: 0, gid: 0 });
  });
});
