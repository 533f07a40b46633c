import { createHash } from 'node:crypto';

/** What makes a task event one event, whoever reports it and however often. */
export interface EventIdentity {
  node: string;
  /** Of the task. */
  incarnation: string;
  /** Of the exec; empty for the first process. */
  execIncarnation: string;
  topic: string;
  /** Which of several: 0 for what happens once. */
  ordinal: bigint;
}

/** 32 hex digits: 128 bits never meet by chance. */
export function taskEventId(identity: EventIdentity): string {
  const { node, incarnation, execIncarnation, topic, ordinal } = identity;
  return digest([node, incarnation, execIncarnation, topic, String(ordinal)]);
}

/** For an event that belongs to no task that we know: the same bytes are the same event. */
export function contentEventId(node: string, envelope: Uint8Array): string {
  return digest([node, Buffer.from(envelope).toString('base64')]);
}

function digest(parts: string[]): string {
  // No part contains NUL, so no two lists of parts look the same.
  return createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 32);
}
