import { invalidArgument } from '@longshore/errors';
import { parseAddresses } from '@longshore/kit';

/**
 * For what another machine says of itself: the path of a unix socket would be taken for one on the host of whoever
 * connects, where nobody is asked for a certificate. Throws InvalidArgument.
 */
export function requireNetworkAddress(address: string): void {
  if (parseAddresses(address).every(({ kind }) => kind === 'tcp')) return;
  throw invalidArgument(`address ${JSON.stringify(address)}: want host:port`);
}
