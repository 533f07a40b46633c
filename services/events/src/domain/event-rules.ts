import { invalidArgument } from '@longshore/errors';
import { parseIdentifier } from '@longshore/oci';
import { FLEET } from '@longshore/proto/headers';

/** Ids come from nodes and go into a message header. */
const EVENT_ID = /^[\x21-\x7e]{1,128}$/;

/** `/` and identifiers joined by `/`, else InvalidArgument in containerd's words. Source: core/events/exchange. */
export function parseTopic(topic: string): string {
  if (topic === '') throw invalidArgument('envelope topic must not be empty');
  if (!topic.startsWith('/'))
    throw invalidArgument(`envelope topic ${JSON.stringify(topic)} must start with '/'`);
  if (topic === '/') throw invalidArgument('envelope topic must have at least one component');
  for (const component of topic.slice(1).split('/')) parseIdentifier(component);
  return topic;
}

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
