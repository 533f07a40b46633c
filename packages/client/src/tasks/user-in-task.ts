import { failedPrecondition, notFound } from '@longshore/errors';
import {
  applySpecOptions,
  composeSpecOptions,
  type ProcessSpec,
  rootfsUserFiles,
  type SpecOption,
  type UserFiles,
  withAdditionalGids,
  withUser,
} from '@longshore/oci/runtime-spec';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import type { CallOptions } from '@longshore/rpc';
import type { Connection } from '../connection/connection.ts';
import { findUser, NO_FILES, NUMERIC_USER } from '../users/find-user.ts';

type TaskConnection = Pick<Connection, 'isLocal' | 'service'>;

/**
 * A user as the files of a running container know it, with all groups that list it: read here, or by its node where it is on another
 * machine. Throws InvalidArgument for what is no user, NotFound for a name that they do not have, FailedPrecondition for a name on
 * another machine in a container without a snapshot.
 */
export async function userInTask(
  connection: TaskConnection,
  containerId: string,
  text: string,
  options: CallOptions,
): Promise<ProcessSpec['user']> {
  const known = connection.isLocal
    ? userOf(text, await filesOf(connection, containerId, options))
    : await userElsewhere(connection, containerId, text, options);
  return applySpecOptions({ ociVersion: '' }, known).process?.user;
}

async function userElsewhere(
  connection: TaskConnection,
  containerId: string,
  user: string,
  options: CallOptions,
): Promise<SpecOption> {
  const { container } = await connection.service(Containers).get({ id: containerId }, options);
  const { snapshotter = '', snapshotKey: key = '' } = container ?? {};
  if (key !== '') return findUser(connection, { snapshotter, key, user }, options);
  if (NUMERIC_USER.test(user)) return userOf(user, NO_FILES);
  throw failedPrecondition(
    `user ${JSON.stringify(user)} cannot be looked up: container ${JSON.stringify(containerId)} is on another machine, without a snapshot`,
  );
}

function userOf(text: string, files: UserFiles): SpecOption {
  const [user = ''] = text.split(':');
  return composeSpecOptions(withUser(text, files), withAdditionalGids(user, files));
}

async function filesOf(
  connection: Pick<Connection, 'service'>,
  containerId: string,
  options: CallOptions,
): Promise<UserFiles> {
  const { process } = await connection.service(Tasks).get({ containerId }, options);
  if (!process?.pid) throw notFound(`process of task ${JSON.stringify(containerId)}`);
  return rootfsUserFiles(`/proc/${process.pid}/root`);
}
