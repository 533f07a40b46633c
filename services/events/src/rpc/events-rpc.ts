import { create } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { unavailable } from '@longshore/errors';
import { type Handlers, validEnvelope } from '@longshore/kit';
import { eventFilter } from '@longshore/kit/event-filter';
import { type NatsLink, readEvents, streamBounds, subjectFilter } from '@longshore/messaging';
import type { Events } from '@longshore/proto/containerd/services/events/v1/events';
import { EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import { Header } from '@longshore/proto/headers';
import { parseNode } from '../domain/event-rules.ts';
import type { EventMetrics } from '../metrics.ts';
import type { EventRepository } from '../storage/postgres/event-repository.ts';
import { envelopeFromEvent, outboxEventFromEnvelope } from './convert.ts';

export interface EventsRpcOptions {
  events: EventRepository;
  link: NatsLink;
  metrics: EventMetrics;
  /** Aborts when the server closes: subscriptions end with Unavailable, so that clients come back. */
  stopping: AbortSignal;
}

/**
 * `containerd.services.events.v1.Events` at the fleet edge: all namespaces and nodes, unless filters or the header
 * `longshore-node` say less. Source: containerd core/events/exchange.
 */
export function eventsRpc({ events, link, metrics, stopping }: EventsRpcOptions): Handlers<typeof Events> {
  return {
    async publish({ topic, event }, call) {
      const envelope = create(EnvelopeSchema, {
        timestamp: timestampNow(),
        namespace: call.namespace,
        topic,
      });
      if (event) envelope.event = event;
      await events.append(outboxEventFromEnvelope(validEnvelope(envelope, 'event'), parseNode(call.node)));
      return {};
    },

    async forward({ envelope }, call) {
      await events.append(outboxEventFromEnvelope(validEnvelope(envelope), parseNode(call.node)));
      return {};
    },

    async *subscribe({ filters }, call) {
      const accepts = eventFilter(filters);
      const node = call.header(Header.Node);
      const filter = subjectFilter({ node: node === undefined ? undefined : parseNode(node) });
      const signal = AbortSignal.any([call.signal, stopping]);
      const { last } = await streamBounds(await link.connectedSoon(signal));
      call.begin();
      const onInvalid = (seq: bigint, error: unknown) => call.log.warn({ seq, err: error }, 'not an event');
      metrics.subscribers.add(1);
      try {
        for await (const { event } of readEvents(link, { filter, start: last + 1n, signal, onInvalid })) {
          const envelope = create(EnvelopeSchema, envelopeFromEvent(event));
          if (accepts(envelope)) yield envelope;
        }
      } finally {
        metrics.subscribers.add(-1);
      }
      if (stopping.aborted) throw unavailable('events service is stopping');
    },
  };
}
