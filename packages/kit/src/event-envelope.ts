import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '@longshore/errors';
import { parseIdentifier } from '@longshore/oci';
import type { Envelope } from '@longshore/proto/containerd/types/event';
import { MAX_EVENT_PAYLOAD_BYTES } from '@longshore/proto/limits';

export type ValidEnvelope = Envelope & { timestamp: Timestamp };

/**
 * Throws InvalidArgument unless namespace, topic and time are set and valid, and the payload fits the stream.
 * Source: containerd core/events/exchange/exchange.go.
 */
export function validEnvelope(envelope: Envelope | undefined, subject = 'envelope'): ValidEnvelope {
  if (!envelope) throw invalidArgument(`${subject} has no envelope`);
  const { timestamp, namespace, topic, event } = envelope;
  parseIdentifier(namespace);
  parseTopic(topic);
  if (!timestamp || (timestamp.seconds === 0n && timestamp.nanos === 0)) {
    throw invalidArgument(`${subject} of topic ${JSON.stringify(topic)} has no timestamp`);
  }
  const sizeBytes = event?.value.length ?? 0;
  if (sizeBytes > MAX_EVENT_PAYLOAD_BYTES) {
    throw invalidArgument(
      `${subject} of topic ${JSON.stringify(topic)} has ${sizeBytes} bytes, more than ${MAX_EVENT_PAYLOAD_BYTES}`,
    );
  }
  return { ...envelope, timestamp };
}

/** `/` and identifiers joined by `/`, else InvalidArgument in containerd's words. */
export function parseTopic(topic: string): string {
  if (topic === '') throw invalidArgument('envelope topic must not be empty');
  if (!topic.startsWith('/'))
    throw invalidArgument(`envelope topic ${JSON.stringify(topic)} must start with '/'`);
  if (topic === '/') throw invalidArgument('envelope topic must have at least one component');
  for (const component of topic.slice(1).split('/')) parseIdentifier(component);
  return topic;
}
