import type { ServiceClient } from '@longshore/client';
import { messageOf } from '@longshore/errors';
import type { Logger, Scope } from '@longshore/kit';
import { Header } from '@longshore/proto/headers';
import type { CollectorService } from '@longshore/proto/longshore/content/v1/collector';

/** Asking takes no longer when the content service is well; when it is not, the next deletion asks again. */
const ASK_TIMEOUT_MS = 5_000;

/** Tells the collector that a scope has something less to keep. */
export type AskForCollection = (scope: Scope) => void;

/** Nobody waits for the answer. */
export function collectionRequest(
  collector: ServiceClient<typeof CollectorService>,
  log: Logger,
): AskForCollection {
  return ({ namespace, node }) => {
    const headers = { [Header.Namespace]: namespace, [Header.Node]: node };
    collector
      .collect({ wait: false }, { headers, deadline: new Date(Date.now() + ASK_TIMEOUT_MS) })
      .catch((error) => {
        log.warn({ namespace, node, error: messageOf(error) }, 'could not ask for a collection');
      });
  };
}
