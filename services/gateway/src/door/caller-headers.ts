import type { IncomingHttpHeaders } from 'node:http2';
import { Header } from '@longshore/proto/headers';

/** longshore's own headers are what its parts tell one another; of a caller only this one counts. */
const OWN = 'longshore-';

/** What a caller may say to the parts behind the edge: not its credential, and nothing in the place of one of them. */
export function callerHeaders(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const kept: IncomingHttpHeaders = {};
  for (const name of Object.keys(headers)) {
    if (name === 'authorization' || name === 'cookie') continue;
    if (name.startsWith(OWN) && name !== Header.Node) continue;
    kept[name] = headers[name];
  }
  return kept;
}

/** The value that the services take of a header that is repeated: Node joins them so. */
export function firstValue(value: string | string[] | undefined): string {
  const [first = ''] = [value ?? ''].flat();
  return first.split(', ', 1)[0]!;
}
