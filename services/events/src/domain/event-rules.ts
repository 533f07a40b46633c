import { invalidArgument } from '@longshore/errors';
import { parseIdentifier } from '@longshore/oci';
import { FLEET } from '@longshore/proto/headers';

/** Ids come from nodes and go into a message header. */
const EVENT_ID = /^[\x21-\x7e]{1,128}$/;

/** The node part of a scope: a node's id, or `_`. Throws InvalidArgument. */
export function parseNode(node: string): string {
  return node === FLEET ? node : parseIdentifier(node);
}

/** Throws InvalidArgument for what cannot be a message id. */
export function parseEventId(id: string): string {
  if (!EVENT_ID.test(id))
    throw invalidArgument(`event id ${JSON.stringify(id)} must match ${EVENT_ID.source}`);
  return id;
}
