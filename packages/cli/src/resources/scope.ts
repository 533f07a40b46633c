import { FLEET } from '@longshore/proto/headers';
import type { Calls } from '../calls.ts';

/** Whether calls mean one node, and not what a whole fleet has in common. */
export function isOfNode({ isLocal, node }: Pick<Calls, 'isLocal' | 'node'>): boolean {
  return isLocal || (node ?? FLEET) !== FLEET;
}
