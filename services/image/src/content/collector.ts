import type { ServiceClient } from '@longshore/client';
import { messageOf } from '@longshore/errors';
import type { Call } from '@longshore/kit';
import { Header } from '@longshore/proto/headers';
import type { CollectorService } from '@longshore/proto/longshore/content/v1/collector';

/** Asking takes no longer when the content service is well; when it is not, the next deletion asks again. */
const ASK_TIMEOUT_MS = 5_000;

/** Runs a collection of the caller's scope, waits for it, and passes on the events that it caused. */
export async function collectNow(
  call: Call,
  collector: ServiceClient<typeof CollectorService>,
): Promise<void> {
  await collector.collect(
    { wait: true },
    {
      ...call.forward(),
      onTrailers: (trailers) => {
        for (const event of trailers.get(Header.EventBin)) call.trailers.add(Header.EventBin, event);
      },
    },
  );
}

/** Tells the collector that the caller's scope has something less to keep; nobody waits for the answer. */
export function askForCollection(call: Call, collector: ServiceClient<typeof CollectorService>): void {
  const { headers } = call.forward();
  collector
    .collect({ wait: false }, { headers, deadline: new Date(Date.now() + ASK_TIMEOUT_MS) })
    .catch((error) => call.log.warn({ error: messageOf(error) }, 'could not ask for a collection'));
}
