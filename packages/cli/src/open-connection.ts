import { Connection } from '@longshore/client/connection';
import type { Calls } from './calls.ts';
import type { Settings } from './settings/settings.ts';

/** Calls alone: of the library no more than these need is loaded. */
export function openConnection({ address, tls, token, namespace, node }: Settings): Calls & Disposable {
  return new Connection(address, { namespace, node, token, tls });
}
