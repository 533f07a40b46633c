/**
 * Tells of the containers that there are, and of each change, until it is interrupted.
 *
 *     node watch-containers.ts /run/longshore/longshore.sock default
 */
import { Client } from '@longshore/client';

const [address = '', namespace = ''] = process.argv.slice(2);
using client = new Client(address, { namespace });
const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort());
try {
  for await (const change of client.watch('containers', interrupted.signal)) {
    const of = change.type === 'put' ? ` ${change.key} ${change.item.image}` : '';
    console.log(change.type === 'removed' ? `removed ${change.key}` : `${change.type}${of}`);
  }
} catch (error) {
  if (!interrupted.signal.aborted) throw error;
}
