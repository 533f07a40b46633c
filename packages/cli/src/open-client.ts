import { Client } from '@longshore/client';
import type { Settings } from './settings/settings.ts';

/** The library's client of what the settings name. A file of its own, since it loads gRPC. */
export function openClient({ address, tls, token, namespace, node }: Settings): Client {
  return new Client(address, { namespace, node, token, tls });
}
