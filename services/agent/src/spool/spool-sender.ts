import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, type RetryPolicy, retryDelayMs } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { EventSpool, SpoolEntry } from './event-spool.ts';

/** Entries in one call, and how large they are together: gRPC takes 16 MiB, and one event may have half a megabyte. */
const BATCH_EVENTS = 512;
const BATCH_BYTES = 4 * 1024 ** 2;

/** Nobody waits for the rest, of which much comes together: the create and start of a task that ends soon go with its exit. */
const LINGER_MS = 250;

/** Somebody waits for an end, to start the next or to tell a user. What came before it goes with it. */
const AT_ONCE = '/tasks/exit';

const PRUNE_EVERY_MS = 10 * 60_000;
const CHECK_EVERY_MS = 30_000;

/** For ever: an event that is not sent must stay, and those behind it must not overtake it. */
const RETRY: RetryPolicy = { initialDelayMs: 100, maxDelayMs: 10_000, attempts: Number.POSITIVE_INFINITY };

export interface SpoolSenderOptions {
  spool: EventSpool;
  /**
   * Answers the events' places in the stream, once they are stored durably; sending them again must be safe. When the stream
   * has lost `after`, the one before them, it takes none, and answers from where on they are to be sent again.
   */
  append(
    events: SpoolEntry[],
    after: { id: string; streamSequence: bigint } | undefined,
    signal: AbortSignal,
  ): Promise<{ places: bigint[] } | { lostFrom: bigint }>;
  /** Whether the stream still has an event where it was, and the oldest place that it keeps. */
  check(id: string, streamSequence: bigint, signal: AbortSignal): Promise<{ stored: boolean; first: bigint }>;
  log: Logger;
  /** How long what was sent is kept, ids included, to be sent again if the receiver loses it. Default one day. */
  keepSentMs?: number;
  retry?: RetryPolicy;
  /** How often to ask whether the stream has lost what it had. */
  checkEveryMs?: number;
}

/**
 * Sends the spool's entries, in order, one batch at a time, and sends again what the stream has lost. States: made →
 * running → closed.
 */
export class SpoolSender implements AsyncDisposable {
  readonly #options: Required<SpoolSenderOptions>;
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;
  #checkedAtMs = performance.now();

  constructor(options: SpoolSenderOptions) {
    this.#options = {
      keepSentMs: 24 * 3_600_000,
      retry: RETRY,
      checkEveryMs: CHECK_EVERY_MS,
      ...options,
    };
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends a call under way; what it carried is sent again after the next start. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #run(): Promise<void> {
    const { spool } = this.#options;
    const prune = setInterval(() => this.#prune(), PRUNE_EVERY_MS);
    prune.unref();
    while (!this.#closing.signal.aborted) {
      if (this.#untilCheckMs() <= 0) await this.#check();
      const entries = spool.unsent(BATCH_EVENTS, BATCH_BYTES);
      if (entries.length > 0) await this.#send(entries);
      else await this.#nextEvent();
    }
    clearInterval(prune);
  }

  /** Never throws: a full disk must not end the process. */
  #prune(): void {
    const { spool, keepSentMs, log } = this.#options;
    try {
      spool.prune(keepSentMs);
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'sent events cannot be forgotten yet');
    }
  }

  /** Resolves when there is something to send, or it is time to check. What comes while a call is under way need not wait. */
  async #nextEvent(): Promise<void> {
    const { signal } = this.#closing;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    let lingering: NodeJS.Timeout | undefined;
    const forget = this.#options.spool.onFresh((event) => {
      if (!event || event.envelope.topic === AT_ONCE) wake();
      else lingering ??= setTimeout(wake, LINGER_MS);
    });
    signal.addEventListener('abort', wake);
    if (signal.aborted) wake();
    const isTimeToCheck = setTimeout(wake, Math.max(0, this.#untilCheckMs()));
    await promise;
    clearTimeout(lingering);
    clearTimeout(isTimeToCheck);
    signal.removeEventListener('abort', wake);
    forget();
  }

  #untilCheckMs(): number {
    return this.#checkedAtMs + this.#options.checkEveryMs - performance.now();
  }

  /** All that was kept is sent again: what the stream has, in whatever order it lost the rest, is not stored twice. */
  async #check(): Promise<void> {
    const { spool, check, log } = this.#options;
    this.#checkedAtMs = performance.now();
    const newest = spool.newestSent();
    if (!newest) return;
    try {
      const { stored, first } = await check(newest.id, newest.streamSequence, this.#closing.signal);
      if (stored || first > newest.streamSequence) return;
      this.#sendAgain(first);
    } catch (error) {
      if (!this.#closing.signal.aborted)
        log.debug({ error: messageOf(error) }, 'could not ask what the stream has');
    }
  }

  async #send(entries: SpoolEntry[]): Promise<void> {
    const { spool, append, log, retry } = this.#options;
    const { signal } = this.#closing;
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        const appended = await append(entries, spool.newestSent(), signal);
        if ('lostFrom' in appended) return this.#sendAgain(appended.lostFrom);
        const { places } = appended;
        return spool.markSent(
          entries.map(({ sequence }, index) => ({ sequence, streamSequence: places[index] ?? 0n })),
        );
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ events: entries.length, attempt, error: messageOf(error) }, 'events not sent yet');
        await this.#pause(retryDelayMs(retry, attempt));
      }
    }
  }

  #sendAgain(from: bigint): void {
    const events = this.#options.spool.unmarkFrom(from);
    this.#options.log.warn({ events }, 'the stream lost events: sending again');
  }

  async #pause(ms: number): Promise<void> {
    // Aborted by close(), which is as good a reason to go on as the time being over.
    await delay(ms, undefined, { signal: this.#closing.signal }).catch(() => undefined);
  }
}
