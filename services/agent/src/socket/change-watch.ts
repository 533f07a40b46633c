import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceClient } from '@longshore/client';
import { messageOf, type RetryPolicy, retryDelayMs } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { WatchService } from '@longshore/proto/longshore/watch/v1/watch';
import type { AnswerCache } from './answer-cache.ts';

const RETRY: RetryPolicy = { initialDelayMs: 100, maxDelayMs: 5_000, attempts: Number.POSITIVE_INFINITY };

export interface ChangeWatchOptions {
  /** e.g. `content` */
  service: string;
  client: ServiceClient<typeof WatchService>;
  /** Name this node. */
  headers: Record<string, string>;
  cache: AnswerCache;
  log: Logger;
}

/** Keeps a cache open while its service tells of every change, and closed while it does not. */
export class ChangeWatch implements AsyncDisposable {
  readonly #options: ChangeWatchOptions;
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  /** Since a watch last began. */
  #failures = 0;

  constructor(options: ChangeWatchOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { cache, log, service } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.#watch();
      } catch (error) {
        if (!signal.aborted) log.debug({ service, error: messageOf(error) }, 'changes are not heard of');
      }
      cache.close();
      // Aborted by the end, which is as good a reason to go on as the time being over.
      this.#failures += 1;
      await delay(retryDelayMs(RETRY, this.#failures), undefined, { signal }).catch(() => undefined);
    }
  }

  async #watch(): Promise<void> {
    const { client, headers, cache } = this.#options;
    let hasBegun = false;
    for await (const { namespace } of client.watch({}, { headers, signal: this.#stopping.signal })) {
      if (!hasBegun) cache.open();
      hasBegun = true;
      this.#failures = 0;
      if (namespace !== '') cache.forget(namespace);
    }
  }
}
