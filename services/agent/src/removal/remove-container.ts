import { isKind } from '@longshore/errors';
import { recordTag } from '@longshore/kit';
import type { Container, Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Header } from '@longshore/proto/headers';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import type { Snapshots } from '../snapshots/snapshots.ts';
import type { TaskCall } from '../tasks/task-context.ts';

export interface RemovalOptions {
  nodeId: string;
  snapshots: Pick<Snapshots, 'remove'>;
  containers: Pick<ServiceClient<typeof Containers>, 'delete'>;
  /** Hears what each removal has changed. */
  onTrailers: CallOptions['onTrailers'];
}

/** Removes a container that has no task, and its snapshot before it: cut short, it is found again. */
export type RemoveContainer = (container: Container, call: TaskCall) => Promise<void>;

/**
 * Throws FailedPrecondition when the container is not what it was any more. What is gone already is fine; so is a snapshot that others are made
 * of, which the collector takes when they are gone.
 */
export function containerRemoval({
  nodeId,
  snapshots,
  containers,
  onTrailers,
}: RemovalOptions): RemoveContainer {
  return async (container, { namespace, signal, deadline }) => {
    const headers = { [Header.Namespace]: namespace, [Header.Node]: nodeId };
    const options = { headers, signal, deadline, onTrailers };
    const { id, snapshotter, snapshotKey: key } = container;
    if (key !== '') {
      await unless(snapshots.remove({ snapshotter, key }, { namespace, options }), [
        'NotFound',
        'FailedPrecondition',
        'InvalidArgument',
      ]);
    }
    const own = { ...headers, [Header.IfMatch]: recordTag(container) };
    await unless(containers.delete({ id }, { ...options, headers: own }), ['NotFound']);
  };
}

async function unless(removal: Promise<unknown>, kinds: Parameters<typeof isKind>[1][]): Promise<void> {
  try {
    await removal;
  } catch (error) {
    if (!isKind(error, ...kinds)) throw error;
  }
}
