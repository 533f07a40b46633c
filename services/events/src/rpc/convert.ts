import { type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { validEnvelope } from '@longshore/kit';
import { type LifecycleEvent, resourceOf } from '@longshore/messaging';
import type { OutboxEvent } from '@longshore/postgres';
import { type Envelope, EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import type { SpoolEvent } from '@longshore/proto/longshore/events/v1/spool';
import { parseEventId } from '../domain/event-rules.ts';

/**
 * The row of an event that somebody else made. Its payload is the whole envelope, which keeps the event's own time
 * to the nanosecond; the relay takes it out.
 */
export function outboxEventFromEnvelope(envelope: Envelope, node: string): OutboxEvent {
  return {
    namespace: envelope.namespace,
    node,
    topic: envelope.topic,
    subject: envelope.event ? resourceOf(envelope.event) : '',
    revision: 0n,
    typeUrl: EnvelopeSchema.typeName,
    payload: toBinary(EnvelopeSchema, envelope),
  };
}

export function envelopeFromEvent(event: LifecycleEvent): MessageInitShape<typeof EnvelopeSchema> {
  return {
    timestamp: event.time,
    namespace: event.namespace,
    topic: event.topic,
    event: { typeUrl: event.typeUrl, value: event.payload },
  };
}

export function eventFromSpool({ id, envelope }: SpoolEvent, node: string): LifecycleEvent {
  parseEventId(id);
  const { timestamp, namespace, topic, event } = validEnvelope(envelope, `event ${JSON.stringify(id)}`);
  return {
    id,
    time: timestamp,
    namespace,
    node,
    topic,
    subject: event ? resourceOf(event) : '',
    revision: 0n,
    typeUrl: event?.typeUrl ?? '',
    payload: event?.value ?? new Uint8Array(),
  };
}
