import { failedPrecondition, notFound } from '@longshore/errors';
import {
  applySpecOptions,
  type ProcessSpec,
  rootfsUserFiles,
  type UserFiles,
  withAdditionalGids,
  withUser,
} from '@longshore/oci/runtime-spec';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import type { CallOptions } from '@longshore/rpc';
import type { Connection } from '../connection/connection.ts';

const NUMBERS = /^\d+(:\d+)?$/;
const NO_FILES: UserFiles = { passwd: () => undefined, group: () => undefined };

/**
 * A user as the files of a running container know it, with all groups that list it. Throws InvalidArgument for what is no user, NotFound
 * for a name that they do not have, FailedPrecondition for a name where the container is on another machine.
 */
export async function userInTask(
  connection: Pick<Connection, 'isLocal' | 'service'>,
  containerId: string,
  text: string,
  options: CallOptions,
): Promise<ProcessSpec['user']> {
  if (!connection.isLocal && !NUMBERS.test(text)) {
    const where = `the files of container ${JSON.stringify(containerId)} are on another machine`;
    throw failedPrecondition(`user ${JSON.stringify(text)} cannot be looked up: ${where}`);
  }
  const files = connection.isLocal ? await filesOf(connection, containerId, options) : NO_FILES;
  const [user = ''] = text.split(':');
  const spec = applySpecOptions({ ociVersion: '' }, withUser(text, files), withAdditionalGids(user, files));
  return spec.process?.user;
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
