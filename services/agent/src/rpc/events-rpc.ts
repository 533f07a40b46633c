import { randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { invalidArgument, LongshoreError, messageOf } from '@longshore/errors';
import { type Handlers, validEnvelope } from '@longshore/kit';
import type { Events } from '@longshore/proto/containerd/services/events/v1/events';
import { type Envelope, EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import type { EventHub } from '../spool/event-hub.ts';
import type { EventRecorder } from '../spool/node-events.ts';

/**
 * `containerd.services.events.v1.Events` of the node socket: this node's events, of all namespaces, from the moment
 * of the call. Source: containerd core/events/exchange/exchange.go.
 */
export function eventsRpc(
  recorder: EventRecorder,
  hub: EventHub,
  stopping: AbortSignal,
): Handlers<typeof Events> {
  const record = (envelope: Envelope) => recorder.record({ id: randomUUID(), envelope });
  return {
    async publish({ topic, event }, call) {
      if (!event) throw invalidArgument('event must be set');
      const { namespace } = call;
      record(
        validEnvelope(
          create(EnvelopeSchema, { timestamp: timestampNow(), namespace, topic, event }),
          'event',
        ),
      );
      return {};
    },

    async forward({ envelope }) {
      record(validEnvelope(envelope));
      return {};
    },

    async *subscribe({ filters }, call) {
      let accepts = (_envelope: Envelope) => true;
      const signal = AbortSignal.any([call.signal, stopping]);
      const events = hub.subscribe({ signal, accepts: (envelope) => accepts(envelope) });
      call.begin();
      // Loads the registry of all messages, some 15 MB: most nodes never need it. Nothing is missed meanwhile.
      const { eventFilter } = await import('@longshore/kit/event-filter');
      accepts = asContainerd(() => eventFilter(filters));
      for await (const envelope of events) {
        if (accepts(envelope)) yield envelope;
      }
    },
  };
}

/** containerd does not map the error of a filter here. */
function asContainerd<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    const words = `failed parsing subscription filters: ${messageOf(error)}`;
    throw new LongshoreError('Unknown', words, { cause: error });
  }
}
