import type { Call } from '@longshore/kit';
import { Header } from '@longshore/proto/headers';
import type { Asker, FleetAnswer, FromNode } from '../fleet/fan-out.ts';

/** A call whose answer is put together from those of all nodes. Throws what is wrong with its namespace. */
export function askerOf(call: Call): Asker {
  return {
    signal: call.signal,
    headers: { [Header.Namespace]: call.namespace, [Header.RequestId]: call.requestId },
  };
}

/** Gives the items, and then names the nodes that did not answer, in the trailers of the call. */
export async function* told<T>(answer: FleetAnswer<T>, call: Call): AsyncGenerator<FromNode<T>> {
  yield* answer;
  const unreachable = answer.unreachable();
  if (unreachable.length > 0) call.trailers.set(Header.UnreachableNodes, unreachable.join(','));
}
