import { LongshoreError } from '@longshore/errors';
import { MAX_MESSAGE_BYTES } from '@longshore/proto/limits';
import type { FromNode } from '../fleet/fan-out.ts';

/** What an item takes beside its largest part. */
const ITEM_BYTES = 128;

/**
 * All items of a fleet, by node and then in the node's own order. `bytesOf` estimates the largest part of an item.
 * Throws ResourceExhausted for more than one message can hold, before they fill the memory.
 */
export async function wholeList<T>(
  items: AsyncIterable<FromNode<T>>,
  bytesOf: (item: T) => number,
): Promise<FromNode<T>[]> {
  const all: FromNode<T>[] = [];
  let sizeBytes = 0;
  for await (const one of items) {
    all.push(one);
    sizeBytes += ITEM_BYTES + bytesOf(one.item);
    if (sizeBytes > MAX_MESSAGE_BYTES) {
      throw new LongshoreError(
        'ResourceExhausted',
        `list: more than ${MAX_MESSAGE_BYTES} bytes; ask with a filter, for one node, or for a stream: resource exhausted`,
      );
    }
  }
  return all.sort((a, b) => (a.node < b.node ? -1 : Number(a.node > b.node)));
}
