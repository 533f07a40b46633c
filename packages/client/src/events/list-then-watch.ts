import { setTimeout as delay } from 'node:timers/promises';
import { invalidArgument, isKind } from '@longshore/errors';
import type { Connection } from '../connection/connection.ts';
import { Subscription } from './subscription.ts';
import type { Watchable } from './watchable.ts';

/** How often a server that is away is asked whether it is back. */
const ASK_AGAIN_MS = 200;

/** What is known of one kind of thing, as it comes to be known. */
export type Change<T> =
  /** Forget all: what follows begins anew. Comes after an outage only. */
  | { readonly type: 'reset' }
  /** All that there was has been told. */
  | { readonly type: 'synced' }
  /** There is one, or it has changed; it may be told twice without having changed. */
  | { readonly type: 'put'; readonly key: string; readonly item: T }
  | { readonly type: 'removed'; readonly key: string };

/**
 * What there is, then each change of it, without a gap: events are heard before the list is asked for, and each is taken as a reason to
 * look, so that what is told is never older than what was told before. It goes on over outages that are not longer than the connection's
 * `outageMs`, and ends by its signal.
 */
export async function* listThenWatch<T>(
  connection: Connection,
  watchable: Watchable<T>,
  signal?: AbortSignal,
): AsyncGenerator<Change<T>> {
  if (!connection.isLocal && connection.node === undefined) {
    throw invalidArgument("a watch is of one scope: say which node is meant, or _ for the fleet's own");
  }
  let awaySince: number | undefined;
  for (;;) {
    try {
      for await (const change of watchOnce(connection, watchable, signal)) {
        if (awaySince !== undefined) yield { type: 'reset' };
        awaySince = undefined;
        yield change;
      }
      return;
    } catch (error) {
      if (!isKind(error, 'Unavailable') || signal?.aborted) throw error;
      awaySince ??= performance.now();
      if (performance.now() - awaySince >= connection.outageMs) throw error;
    }
    await delay(ASK_AGAIN_MS, undefined, signal && { signal });
  }
}

async function* watchOnce<T>(
  connection: Connection,
  { topic, keyOf, list, get }: Watchable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Change<T>> {
  const call = { signal };
  using events = await Subscription.open(connection, { filters: [`topic~=^${topic}`], signal });
  for await (const [key, item] of list(connection, call)) yield { type: 'put', key, item };
  yield { type: 'synced' };
  for await (const event of events) {
    const key = keyOf(event);
    if (key === undefined) continue;
    try {
      yield { type: 'put', key, item: await get(connection, key, call) };
    } catch (error) {
      if (!isKind(error, 'NotFound')) throw error;
      yield { type: 'removed', key };
    }
  }
}
