import { type JetStreamClient, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { encodeEvent } from './cloud-event.ts';
import { EVENT_STREAM } from './event-stream.ts';
import type { LifecycleEvent } from './lifecycle-event.ts';
import { fromNatsError } from './nats-error.ts';
import { subjectOf } from './subjects.ts';

/** An acknowledgement takes milliseconds; after this the message may be stored or not. */
const ACK_TIMEOUT_MS = 5_000;

export interface Stored {
  /** Sequence in the stream. */
  seq: bigint;
  /** The stream had the event already, under this sequence. */
  isDuplicate: boolean;
}

/**
 * Publishes an event and answers when it is stored. The event's id is the message id, so repeating a call is safe
 * within the stream's window. Calls on one connection are sent in the order in which they are made.
 */
export async function publishEvent(connection: NatsConnection, event: LifecycleEvent): Promise<Stored> {
  const document = encodeEvent(event);
  const subject = subjectOf(event);
  try {
    const ack = await clientOf(connection).publish(subject, document, {
      msgID: event.id,
      timeout: ACK_TIMEOUT_MS,
      expect: { streamName: EVENT_STREAM },
    });
    return { seq: BigInt(ack.seq), isDuplicate: ack.duplicate };
  } catch (error) {
    throw fromNatsError(error);
  }
}

const clients = new WeakMap<NatsConnection, JetStreamClient>();

function clientOf(connection: NatsConnection): JetStreamClient {
  const known = clients.get(connection);
  if (known) return known;
  const client = jetstream(connection);
  clients.set(connection, client);
  return client;
}
