import { Connection } from '@longshore/client/connection';
import type { Calls } from './calls.ts';
import { checkCredentials } from './settings/check-credentials.ts';
import type { Settings } from './settings/settings.ts';

/** Calls alone: of the library no more than these need is loaded. */
export function openConnection(settings: Settings): Calls & Disposable {
  checkCredentials(settings);
  const { address, tls, token, namespace, node } = settings;
  return new Connection(address, { namespace, node, token, tls });
}
