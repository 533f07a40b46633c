/**
 * Lists the containers of all nodes of a fleet, by its gateway.
 *
 *     TOKEN=lst_… node list-fleet.ts gateway.example.test:7420 ca.crt default 'labels.app==web'
 */
import { Client } from '@longshore/client';
import { isKind } from '@longshore/errors';

const [address = '', ca = '', namespace = '', filter] = process.argv.slice(2);
using client = new Client(address, { namespace, tls: { ca }, token: process.env.TOKEN ?? '' });
try {
  for await (const { node, id, image } of client.containers({ filter })) console.log(node, id, image);
} catch (error) {
  if (!isKind(error, 'Unauthenticated', 'PermissionDenied')) throw error;
  console.error(`${address}: ${(error as Error).message}`);
  process.exitCode = 2;
}
