import { LongshoreError } from '@longshore/errors';
import { Header } from '@longshore/proto/headers';
import type { CallOptions } from '@longshore/rpc';

/** Takes the nodes that did not answer a list at a gateway from its trailers. */
export function unreachableIn(found: Set<string>): NonNullable<CallOptions['onTrailers']> {
  return (trailers) => {
    for (const value of trailers.get(Header.UnreachableNodes)) {
      for (const node of String(value).split(',')) if (node) found.add(node);
    }
  };
}

/** What was looked for was not found, and may be on a node that did not answer. */
export class UnreachableError extends LongshoreError {
  constructor(subject: string, nodes: readonly string[]) {
    super('Unavailable', `${subject}: not found, and no answer from ${nodes.join(', ')}: unavailable`);
  }
}
