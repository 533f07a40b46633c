import { randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '@longshore/errors';
import type { Handlers } from '@longshore/kit';
import { eventFilter } from '@longshore/kit/event-filter';
import { parseIdentifier } from '@longshore/oci';
import type { Events } from '@longshore/proto/containerd/services/events/v1/events';
import { type Envelope, EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import type { EventHub } from '../spool/event-hub.ts';
import type { EventRecorder } from '../spool/node-events.ts';

/**
 * `containerd.services.events.v1.Events` of the node socket: this node's events, of all namespaces, from the moment
 * of the call. Source: containerd core/events/exchange/exchange.go.
 */
export function eventsRpc(recorder: EventRecorder, hub: EventHub, stopping: AbortSignal): Handlers<typeof Events> {
  const record = (envelope: Envelope) => recorder.record({ id: randomUUID(), envelope });
  return {
    async publish({ topic, event }, call) {
      const namespace = call.namespace;
      validateTopic(topic);
      if (!event) throw invalidArgument('event must be set');
      record(create(EnvelopeSchema, { timestamp: timestampNow(), namespace, topic, event }));
      return {};
    },

    async forward({ envelope }) {
      if (!envelope) throw invalidArgument('envelope must be set');
      validateEnvelope(envelope);
      record(envelope);
      return {};
    },

    subscribe({ filters }, call) {
      const signal = AbortSignal.any([call.signal, stopping]);
      return hub.subscribe({ signal, accepts: eventFilter(filters) });
    },
  };
}

function validateEnvelope({ namespace, topic, timestamp }: Envelope): void {
  parseIdentifier(namespace);
  validateTopic(topic);
  if (!timestamp || (timestamp.seconds === 0n && timestamp.nanos === 0)) {
    throw invalidArgument('timestamp must be set on forwarded event');
  }
}

function validateTopic(topic: string): void {
  if (topic === '') throw invalidArgument('envelope topic must not be empty');
  if (!topic.startsWith('/')) throw invalidArgument("envelope topic must start with '/'");
  if (topic === '/') throw invalidArgument('envelope topic must have at least one component');
  for (const component of topic.slice(1).split('/')) parseIdentifier(component);
}
