import { isKind } from '@longshore/errors';
import type { Logger, Scope } from '@longshore/kit';
import type { CollectionResult, CollectOptions } from './collector.ts';
import type { LedTerm } from './led-term.ts';

/** Deletions tend to come in groups; a collection that was asked for waits this long for the rest of its group. */
const SOON_MS = 50;
/** Unasked collections of one scope take at most this share of the time, and leave this much between two. */
const MAX_TIME_SHARE = 0.05;
const MIN_REST_MS = 1_000;
/** As often as collections in a row found nothing, up to here, the rest is doubled: containers that come and go leave none. */
const MAX_DOUBLINGS = 2;
const RETRY_MS = 10_000;
/** What stopped by itself waits for its cause to be mended, or to be forced: asked collections try at once. */
const STOPPED_RETRY_MS = 60_000;
/** Changes without a deletion after which garbage is likely all the same. Source: containerd plugins/gc/scheduler.go. */
const MUTATION_THRESHOLD = 100;

interface ScopeState {
  readonly scope: Scope;
  mutations: number;
  /** The collection that has not begun yet. */
  next: Promise<CollectionResult> | undefined;
  current: Promise<unknown>;
  timer: NodeJS.Timeout | undefined;
  /** Of the collection that has not begun yet, when only a leader asks for it. */
  term: LedTerm | undefined;
  /** Whether one of those who ask for it forces it. */
  force: boolean;
  /** Unasked collections in a row that found nothing. */
  idle: number;
  /** No unasked collection begins before, in milliseconds of `performance.now()`. */
  restUntil: number;
}

/** Decides when a scope is collected; never twice at the same time by this process. */
export class CollectionScheduler {
  readonly #collect: (scope: Scope, options: CollectOptions) => Promise<CollectionResult>;
  readonly #log: Logger;
  readonly #scopes = new Map<string, ScopeState>();
  /** Unasked collections run one after another: they must not crowd out calls. */
  #queue: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(collect: (scope: Scope, options: CollectOptions) => Promise<CollectionResult>, log: Logger) {
    this.#collect = collect;
    this.#log = log;
  }

  /** Runs a collection that begins after this call; calls that wait for the same one share it. */
  run(scope: Scope, { force = false }: { force?: boolean } = {}): Promise<CollectionResult> {
    const state = this.#stateOf(scope);
    state.term = undefined;
    state.force ||= force;
    state.next ??= this.#begin(state);
    return state.next;
  }

  /** Something was deleted, or a reference dropped: collects soon. With a term, within that only. */
  request(scope: Scope, delayMs = SOON_MS, term?: LedTerm): void {
    const state = this.#stateOf(scope);
    const isPlanned = state.timer !== undefined || state.next !== undefined;
    if (!isPlanned || !term) state.term = term;
    if (this.#isClosed || isPlanned) return;
    const restMs = Math.max(0, state.restUntil - performance.now());
    state.timer = setTimeout(() => this.#runInTurn(state), Math.max(delayMs, restMs)).unref();
  }

  /** Something was written. */
  mutated(scope: Scope): void {
    const state = this.#stateOf(scope);
    state.mutations += 1;
    if (state.mutations >= MUTATION_THRESHOLD) this.request(scope);
  }

  /** Begins no more collections and waits for those that run. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { timer } of this.#scopes.values()) clearTimeout(timer);
    await Promise.allSettled([
      this.#queue,
      ...[...this.#scopes.values()].flatMap(({ current, next }) => [current, next]),
    ]);
  }

  #runInTurn(state: ScopeState): void {
    this.#queue = this.#queue.then(async () => {
      state.timer = undefined;
      const { term } = state;
      if (this.#isClosed || term?.signal.aborted) return;
      const started = performance.now();
      try {
        state.next ??= this.#begin(state);
        const { removed } = await state.next;
        state.idle = removed > 0 ? 0 : state.idle + 1;
        const now = performance.now();
        const restMs = MIN_REST_MS * 2 ** Math.min(state.idle, MAX_DOUBLINGS);
        state.restUntil = now + Math.max(restMs, (now - started) * (1 / MAX_TIME_SHARE - 1));
      } catch (error) {
        if (term?.signal.aborted) return;
        this.#log.warn({ ...state.scope, err: error }, 'garbage collection failed; will try again');
        const isStopped = isKind(error, 'FailedPrecondition');
        this.request(state.scope, isStopped ? STOPPED_RETRY_MS : RETRY_MS, term);
      }
    });
  }

  async #begin(state: ScopeState): Promise<CollectionResult> {
    await state.current;
    state.next = undefined;
    state.mutations = 0;
    clearTimeout(state.timer);
    state.timer = undefined;
    const { term, force } = state;
    state.term = undefined;
    state.force = false;
    const result = this.#collect(state.scope, { term, force });
    state.current = result.catch(() => undefined);
    const { removed } = await result;
    if (removed > 0) this.#log.info({ ...state.scope, removed }, 'garbage collected');
    return result;
  }

  #stateOf(scope: Scope): ScopeState {
    const key = `${scope.namespace}/${scope.node}`;
    let state = this.#scopes.get(key);
    if (!state) {
      state = {
        scope,
        mutations: 0,
        next: undefined,
        current: Promise.resolve(),
        timer: undefined,
        term: undefined,
        force: false,
        idle: 0,
        restUntil: 0,
      };
      this.#scopes.set(key, state);
    }
    return state;
  }
}
