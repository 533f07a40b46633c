import { setTimeout as sleep } from 'node:timers/promises';
import type { Scope } from '@longshore/kit';
import type { Digest } from '@longshore/oci';

/** Those who wait ask again after this long at the latest: their holder may be lost, or news of it. */
const MAX_PAUSE_MS = 2_000;
/** Not at the very moment at which a claim runs out, nor all at once. */
const SPREAD_MS = 100;
/** What an answer needs to reach its caller before the deadline of the call. */
const ANSWER_MS = 250;

/** What is fetched, in the namespace of whoever fetches it. */
export interface ClaimName {
  /** `host` or `host:port`. */
  readonly registry: string;
  readonly digest: Digest;
}

export type ClaimState =
  | { kind: 'held'; expiresAt: Date }
  /** The scope can link the blob. */
  | { kind: 'stored' }
  /** Another has it, and `offsetBytes` of the blob; it is free in `freeInMs` unless it is renewed. */
  | { kind: 'busy'; offsetBytes: number; freeInMs: number };

export interface ClaimRecords {
  /** Takes the claim unless another has it, or it is needless. A holder that asks again has its own. */
  acquire(scope: Scope, name: ClaimName, holder: string): Promise<ClaimState>;
  release(scope: Scope, name: ClaimName, holder: string): Promise<void>;
}

export interface ClaimNews {
  /** Calls the listener whenever a claim of the digest was released, soon; now and then not at all. */
  listen(digest: Digest, listener: () => void): Promise<Disposable>;
}

/** How long a caller waits. */
export interface Patience {
  waitMs: number;
  deadline: Date | undefined;
  /** Nobody waits for the answer any more. */
  signal: AbortSignal;
  /** The answer is to be given at once. */
  hurry: AbortSignal;
}

/** Lets one of many fetch a blob while the others wait, without a connection to the database for each. */
export class Claims {
  readonly #records: ClaimRecords;
  readonly #news: ClaimNews;

  constructor(records: ClaimRecords, news: ClaimNews) {
    this.#records = records;
    this.#news = news;
  }

  /** Answers `busy` when it has waited for as long as it may. */
  async acquire(scope: Scope, name: ClaimName, holder: string, patience: Patience): Promise<ClaimState> {
    const until = performance.now() + waitOf(patience);
    const first = await this.#take(scope, name, holder, patience.signal);
    if (first.kind !== 'busy' || performance.now() >= until) return first;

    let wake = new AbortController();
    using _ = await this.#news.listen(name.digest, () => wake.abort());
    for (;;) {
      const woken = AbortSignal.any([wake.signal, patience.signal, patience.hurry]);
      const state = await this.#take(scope, name, holder, patience.signal);
      const leftMs = until - performance.now();
      if (state.kind !== 'busy' || leftMs <= 0 || patience.signal.aborted || patience.hurry.aborted) {
        return state;
      }
      await sleep(Math.min(leftMs, pauseMs(state.freeInMs)), undefined, { signal: woken }).catch(
        () => undefined,
      );
      wake = new AbortController();
    }
  }

  /** A claim that its caller will not hear of is given back. */
  async #take(scope: Scope, name: ClaimName, holder: string, gone: AbortSignal): Promise<ClaimState> {
    gone.throwIfAborted();
    const state = await this.#records.acquire(scope, name, holder);
    if (state.kind === 'held' && gone.aborted) await this.#records.release(scope, name, holder);
    return state;
  }
}

function waitOf({ waitMs, deadline }: Patience): number {
  return deadline ? Math.min(waitMs, deadline.getTime() - Date.now() - ANSWER_MS) : waitMs;
}

function pauseMs(freeInMs: number): number {
  return Math.min(MAX_PAUSE_MS, Math.max(0, freeInMs)) + Math.random() * SPREAD_MS;
}
