import { setImmediate as breathe } from 'node:timers/promises';
import { isKind } from '@longshore/errors';
import type { Peer } from '@longshore/transport';
import type { AccessControl } from './access-control.ts';
import type { Caller } from './caller.ts';
import type { Rule } from './rule.ts';

/** What is known of a change within seconds ends what it forbids so much later. */
const JUDGE_EVERY_MS = 5_000;
/** Verdicts that are asked for at a time; calls are served between. */
const AT_ONCE = 64;
/** Looks in a row that nobody could answer: callers are not cut for a moment's trouble of an identity provider. */
const MAX_DOUBTS = 2;

/** A call that is under way, by what it was let in. */
export interface StandingCall {
  caller: Caller;
  authorization: string | undefined;
  /** Throws Unauthenticated when its certificate is not good any more. */
  peer(): Peer;
  rule: Rule;
  /** As it was judged by. */
  namespace: string;
  /** Why it needed the role `host`, if it did. */
  hostReason?: string | undefined;
  /** Ends it; called once, with Unauthenticated, PermissionDenied or Unavailable. */
  end(error: unknown): void;
}

interface Entry {
  call: StandingCall;
  since: number;
  doubts: number;
}

/**
 * Looks now and then whether calls that last are still their callers' to make: tokens expire and are revoked, roles are taken
 * away. One timer for all; calls of the same credential for the same thing are one question. States: open → closed.
 */
export class StreamJudge {
  readonly #access: Pick<AccessControl, 'authenticate' | 'authorize' | 'authorizeHost'>;
  readonly #entries = new Set<Entry>();
  readonly #timer: NodeJS.Timeout;
  #round = 0;
  #judging: Promise<void> | undefined;

  constructor(
    access: Pick<AccessControl, 'authenticate' | 'authorize' | 'authorizeHost'>,
    everyMs = JUDGE_EVERY_MS,
  ) {
    this.#access = access;
    this.#timer = setInterval(() => {
      this.#judging ??= this.judge().finally(() => {
        this.#judging = undefined;
      });
    }, everyMs).unref();
  }

  /** To be called when a call has been let in; what it answers, when the call is over. */
  watch(call: StandingCall): () => void {
    const entry = { call, since: this.#round, doubts: 0 };
    this.#entries.add(entry);
    return () => this.#entries.delete(entry);
  }

  /** How many calls are under way. */
  get size(): number {
    return this.#entries.size;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Judges those that were under way when it was called the last time. Never throws. */
  async judge(): Promise<void> {
    const round = this.#round++;
    const questions = new Map<string, Entry[]>();
    for (const entry of this.#entries) {
      if (entry.since >= round || !this.#isConnected(entry)) continue;
      const key = keyOf(entry.call);
      const same = questions.get(key);
      if (same) same.push(entry);
      else questions.set(key, [entry]);
    }
    const all = [...questions.values()];
    for (let from = 0; from < all.length; from += AT_ONCE) {
      await Promise.all(all.slice(from, from + AT_ONCE).map((entries) => this.#judgeAll(entries)));
      await breathe();
    }
  }

  /** Each connection has a certificate of its own. */
  #isConnected(entry: Entry): boolean {
    try {
      entry.call.peer();
      return true;
    } catch (error) {
      this.#conclude(entry, error);
      return false;
    }
  }

  async #judgeAll(entries: Entry[]): Promise<void> {
    const error = await this.#ask(entries[0]!.call).catch((refusal: unknown) => refusal);
    for (const entry of entries) this.#conclude(entry, error);
  }

  #conclude(entry: Entry, error: unknown): void {
    if (error === undefined) {
      entry.doubts = 0;
      return;
    }
    if (isKind(error, 'Unavailable') && ++entry.doubts < MAX_DOUBTS) return;
    // It may be over by now.
    if (this.#entries.delete(entry)) entry.call.end(error);
  }

  async #ask({ peer, authorization, rule, namespace, hostReason }: StandingCall): Promise<undefined> {
    const caller = await this.#access.authenticate(peer(), authorization);
    await this.#access.authorize(caller, rule, namespace);
    if (hostReason) await this.#access.authorizeHost(caller, namespace, hostReason);
  }
}

/** A name stands for its certificates, which were looked at. */
function keyOf({ authorization, caller, rule, namespace, hostReason }: StandingCall): string {
  return JSON.stringify([authorization ?? caller, rule, namespace, hostReason]);
}
