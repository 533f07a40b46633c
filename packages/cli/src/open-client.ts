import { Client } from '@longshore/client';
import { checkCredentials } from './settings/check-credentials.ts';
import type { Settings } from './settings/settings.ts';

/** The library's client of what the settings name. A file of its own, since it loads gRPC. */
export function openClient(settings: Settings): Client {
  checkCredentials(settings);
  const { address, tls, token, namespace, node } = settings;
  return new Client(address, { namespace, node, token, tls });
}
