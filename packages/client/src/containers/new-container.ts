import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import type { CallOptions } from '@longshore/rpc';
import type { Connection } from '../connection/connection.ts';
import { underLease } from '../leases/work-lease.ts';
import { Container } from './container.ts';
import type { ContainerDraft, ContainerOption } from './container-draft.ts';
import { imageConfigs } from './image-configs.ts';

const DEFAULT_RUNTIME = 'io.containerd.runc.v2';

/**
 * Records a container. What options make for it is kept by a lease meanwhile, and is garbage if it comes to nothing. Throws AlreadyExists
 * for an id that is taken.
 */
export async function newContainer(
  connection: Connection,
  id: string,
  options: readonly ContainerOption[],
  given: CallOptions,
): Promise<Container> {
  await underLease(connection, async ({ headers }) => {
    const call = { ...given, headers: { ...given.headers, ...headers } };
    const record = { id, runtime: { name: DEFAULT_RUNTIME } };
    const draft: ContainerDraft = { id, connection, call, configOf: imageConfigs(call), record };
    for (const option of options) await option(draft);
    await connection.service(Containers).create({ container: draft.record }, call);
  });
  return new Container(connection, id);
}
