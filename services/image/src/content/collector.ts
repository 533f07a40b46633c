import type { ServiceClient } from '@longshore/client';
import { messageOf } from '@longshore/errors';
import type { Call, Logger, Scope } from '@longshore/kit';
import { Header } from '@longshore/proto/headers';
import type { CollectorService } from '@longshore/proto/longshore/content/v1/collector';

/** Asking takes no longer when the content service is well; when it is not, the next deletion asks again. */
const ASK_TIMEOUT_MS = 5_000;

/** The garbage collector, which the content service runs. */
export class Collector {
  readonly #client: ServiceClient<typeof CollectorService>;
  readonly #log: Logger;

  constructor(client: ServiceClient<typeof CollectorService>, log: Logger) {
    this.#client = client;
    this.#log = log;
  }

  /** Tells that a scope has something less to keep; nobody waits for the answer. */
  ask({ namespace, node }: Scope): void {
    const headers = { [Header.Namespace]: namespace, [Header.Node]: node };
    const deadline = new Date(Date.now() + ASK_TIMEOUT_MS);
    this.#client.collect({ wait: false }, { headers, deadline }).catch((error) => {
      this.#log.warn({ namespace, node, error: messageOf(error) }, 'could not ask for a collection');
    });
  }

  /** Collects the caller's scope, and tells the caller of the events that this caused. */
  async run(call: Call): Promise<void> {
    await this.#client.collect(
      { wait: true },
      {
        ...call.forward(),
        onTrailers: (trailers) => {
          for (const name of [Header.EventBin, Header.Collected]) {
            for (const value of trailers.get(name)) call.trailers.add(name, value);
          }
        },
      },
    );
  }
}
