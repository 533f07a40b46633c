import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, type RetryPolicy, retryDelayMs } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { WatchService } from '@longshore/proto/longshore/watch/v1/watch';
import type { ServiceClient } from '@longshore/rpc';
import type { RecordCopy } from './record-copy.ts';
import type { Keeper } from './record-kinds.ts';

const RETRY: RetryPolicy = { initialDelayMs: 100, maxDelayMs: 5_000, attempts: Number.POSITIVE_INFINITY };

export type WatchClient = ServiceClient<typeof WatchService>;

export interface RecordFollowerOptions {
  keeper: Keeper;
  client: WatchClient;
  /** Name this node. */
  headers: Record<string, string>;
  copy: RecordCopy;
  log: Logger;
}

/** Keeps a copy true to one keeper: takes over all that its watch tells, for ever, in rounds that begin where one ended. */
export class RecordFollower implements AsyncDisposable {
  readonly #options: RecordFollowerOptions;
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  #round = new AbortController();
  /** Wait for the `synced` of a round that began after they came. */
  #waiting: (() => void)[] = [];
  /** Since a round last got an answer. */
  #failures = 0;

  constructor(options: RecordFollowerOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  /** Resolves once the copy has everything that was committed before this call; it may take for ever. */
  caughtUp(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    this.#round.abort();
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    this.#round.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { log, keeper } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      this.#round = new AbortController();
      const waiting = this.#waiting.splice(0);
      try {
        await this.#watch(this.#round.signal, waiting);
      } catch (error) {
        if (!this.#round.signal.aborted)
          log.debug({ keeper, error: messageOf(error) }, 'changes are not heard of');
      }
      // Those whose round failed are served by the next.
      this.#waiting.unshift(...waiting);
      if (this.#round.signal.aborted) continue;
      this.#failures += 1;
      // Cut short by the end, or by someone who waits: both are a good reason to go on.
      await delay(retryDelayMs(RETRY, this.#failures), undefined, { signal: this.#round.signal }).catch(
        () => undefined,
      );
    }
  }

  async #watch(signal: AbortSignal, waiting: (() => void)[]): Promise<void> {
    const { keeper, client, headers, copy } = this.#options;
    const { round, position } = this.#keep(() => copy.beginRound(keeper));
    for await (const told of client.watch({ position }, { headers, signal })) {
      if (signal.aborted) return;
      this.#keep(() => copy.applyWatched(keeper, round, told));
      this.#failures = 0;
      if (told.synced) for (const resolve of waiting.splice(0)) resolve();
    }
  }

  /** A copy that cannot take changes over, for want of disk, say, answers nothing until it can: it grows old without a sign. */
  #keep<T>(change: () => T): T {
    const { keeper, copy, log } = this.#options;
    try {
      return change();
    } catch (error) {
      copy.doubt(keeper);
      log.error({ keeper, error: messageOf(error) }, 'changes cannot be kept');
      throw error;
    }
  }
}
