import { fromBinary } from '@bufbuild/protobuf';
import { messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import type { EventHub } from '../spool/event-hub.ts';

/**
 * Tells this node's subscribers of events that its own calls caused in the control plane. They are in an outbox
 * already, so they do not go through the spool.
 */
export function causedEvents(hub: EventHub, log: Logger): (envelopes: Uint8Array[]) => void {
  return (envelopes) => {
    for (const bytes of envelopes) {
      try {
        hub.publish(fromBinary(EnvelopeSchema, bytes));
      } catch (error) {
        log.error({ error: messageOf(error) }, 'event in a trailer cannot be read');
      }
    }
  };
}
