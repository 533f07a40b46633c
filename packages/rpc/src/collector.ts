import type { Metadata } from '@grpc/grpc-js';
import { messageOf } from '@longshore/errors';
import { Header } from '@longshore/proto/headers';
import { CollectorService } from '@longshore/proto/longshore/content/v1/collector';
import type { Channel } from './channel.ts';
import { type CallOptions, createClient, type ServiceClient } from './create-client.ts';
import type { Warnings } from './warnings.ts';

/** Asking takes no longer when the content service is well; when it is not, the next deletion asks again. */
const ASK_TIMEOUT_MS = 5_000;

/** The collector itself rests for as long between two collections of a scope that nobody waits for. */
const ASK_REST_MS = 1_000;

/** A call on whose behalf a scope is collected: the kit's `Call`. */
export interface CollectingCall {
  /** Sent with the status of the call. */
  readonly trailers: Pick<Metadata, 'add'>;
  forward(): CallOptions;
}

/** The garbage collector, which the content service runs. */
export class Collector {
  readonly #client: ServiceClient<typeof CollectorService>;
  readonly #log: Warnings;
  /** Scopes that were asked for a moment ago; true for those that are to be asked for once more. */
  readonly #asked = new Map<string, boolean>();

  /** `content` leads to the content service. */
  constructor(content: Channel, log: Warnings) {
    this.#client = createClient(CollectorService, content);
    this.#log = log;
  }

  /** Tells that a scope has something less to keep; nobody waits for the answer. What follows soon is told together. */
  ask(scope: { readonly namespace: string; readonly node: string }): void {
    const key = `${scope.namespace}/${scope.node}`;
    if (this.#asked.has(key)) {
      this.#asked.set(key, true);
      return;
    }
    this.#asked.set(key, false);
    setTimeout(() => {
      const isToAsk = this.#asked.get(key);
      this.#asked.delete(key);
      if (isToAsk) this.ask(scope);
    }, ASK_REST_MS).unref();
    this.#send(scope);
  }

  #send({ namespace, node }: { readonly namespace: string; readonly node: string }): void {
    const headers = { [Header.Namespace]: namespace, [Header.Node]: node };
    const deadline = new Date(Date.now() + ASK_TIMEOUT_MS);
    this.#client.collect({ wait: false }, { headers, deadline }).catch((error) => {
      this.#log.warn({ namespace, node, error: messageOf(error) }, 'could not ask for a collection');
    });
  }

  /** Collects the caller's scope, and tells the caller of the events that this caused. */
  async run(call: CollectingCall): Promise<void> {
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
