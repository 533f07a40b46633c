import type { Opener } from '@longshore/kit';
import type { OnCall } from '@longshore/rpc';

/** Tells of each stream that is opened; one that is tried at another replica too is told again. */
export function countedOpener(opener: Opener, onCall: OnCall): Opener {
  return {
    get size() {
      return opener.size ?? 1;
    },
    open(headers, options) {
      const [, service = '', method = ''] = String(headers[':path']).split('/');
      onCall(service, method);
      return opener.open(headers, options);
    },
  };
}
