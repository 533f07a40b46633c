import { notFound } from '@longshore/errors';
import {
  applySpecOptions,
  type ProcessSpec,
  rootfsUserFiles,
  withAdditionalGids,
  withUser,
} from '@longshore/oci/runtime-spec';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import type { CallOptions } from '@longshore/rpc';
import type { Connection } from '../connection/connection.ts';

/**
 * A user as the files of a running container on this machine know it, with all groups that list it. Throws InvalidArgument for what is no
 * user, NotFound for a name that they do not have.
 */
export async function userInTask(
  connection: Connection,
  containerId: string,
  text: string,
  options: CallOptions,
): Promise<ProcessSpec['user']> {
  const { process } = await connection.service(Tasks).get({ containerId }, options);
  if (!process?.pid) throw notFound(`process of task ${JSON.stringify(containerId)}`);
  const files = rootfsUserFiles(`/proc/${process.pid}/root`);
  const [user = ''] = text.split(':');
  const spec = applySpecOptions({ ociVersion: '' }, withUser(text, files), withAdditionalGids(user, files));
  return spec.process?.user;
}
