import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Header } from '@longshore/proto/headers';
import { Channel, createClient } from '@longshore/rpc';
import { atOnce } from './at-once.ts';
import { containerRecord } from './container-record.ts';
import type { ControlPlane } from './control-plane.ts';

const CREATES_AT_ONCE = 16;

/** Makes the containers with these numbers as their nodes' agents would, in the runtime service. */
export async function createContainers(
  plane: ControlPlane,
  { first, count }: { first: number; count: number },
  nodeOf: (number: number) => string,
): Promise<void> {
  using undo = new DisposableStack();
  const channel = undo.adopt(new Channel(plane.address('runtime')), (opened) => opened.close());
  const containers = createClient(Containers, channel);
  const numbers = Array.from({ length: count }, (_, i) => first + i);
  await atOnce(CREATES_AT_ONCE, numbers, (number) => {
    const headers = { [Header.Namespace]: 'default', [Header.Node]: nodeOf(number) };
    return containers.create({ container: containerRecord(number) }, { headers });
  });
}
