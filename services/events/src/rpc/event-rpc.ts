import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { invalidArgument, outOfRange, unavailable } from '@longshore/errors';
import type { Call, Handlers } from '@longshore/kit';
import { eventFilter } from '@longshore/kit/event-filter';
import {
  type NatsLink,
  readEvents,
  type StreamBounds,
  streamBounds,
  subjectFilter,
} from '@longshore/messaging';
import { EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import {
  type EventService,
  type SubscribeRequest,
  SubscribeRequestSchema,
  type SubscribeResponseSchema,
} from '@longshore/proto/longshore/events/v1/events';
import { parseNode } from '../domain/event-rules.ts';
import type { EventMetrics } from '../metrics.ts';
import { envelopeFromEvent } from './convert.ts';

/** A subscriber whose filters let nothing through hears so often how far it has come. */
const PROGRESS_EVENTS = 500n;

/** What both of its calls answer. */
type Told = Omit<MessageInitShape<typeof SubscribeResponseSchema>, '$typeName' | '$unknown'>;

export interface EventRpcOptions {
  link: NatsLink;
  metrics: EventMetrics;
  /** Aborts when the server closes: subscriptions end with Unavailable, so that clients come back. */
  stopping: AbortSignal;
}

/** `longshore.events.v1.EventService`. Memory of a slow subscriber is that of `readEvents`. */
export function eventRpc({ link, metrics, stopping }: EventRpcOptions): Handlers<typeof EventService> {
  async function* subscribe(
    request: SubscribeRequest,
    namespace: string | undefined,
    call: Call,
  ): AsyncGenerator<Told> {
    const accepts = eventFilter(request.filters);
    const filter = subjectFilter({ namespace, node: request.node && parseNode(request.node) });
    const signal = AbortSignal.any([call.signal, stopping]);
    const bounds = await streamBounds(await link.connectedSoon(signal));
    const start = startOf(request, bounds);
    const onInvalid = (seq: bigint, error: unknown) => call.log.warn({ seq, err: error }, 'not an event');
    let told = typeof start === 'bigint' ? start - 1n : bounds.first - 1n;
    yield { sequence: told };
    metrics.subscribers.add(1);
    try {
      for await (const { seq, event } of readEvents(link, { filter, start, signal, onInvalid })) {
        const { id, node, subject, revision } = event;
        const envelope = create(EnvelopeSchema, envelopeFromEvent(event));
        const isWanted = accepts(envelope);
        if (!isWanted && seq - told < PROGRESS_EVENTS) continue;
        told = seq;
        yield { sequence: seq, ...(isWanted && { event: { id, node, subject, revision, envelope } }) };
      }
    } finally {
      metrics.subscribers.add(-1);
    }
    if (stopping.aborted) throw unavailable('events service is stopping');
  }

  return {
    subscribe: (request, call) => subscribe(request, call.namespace, call),

    subscribeFleet: ({ wanted = create(SubscribeRequestSchema) }, call) => subscribe(wanted, undefined, call),
  };
}

/** Where to read from. Throws OutOfRange for a place behind which events may be gone, or that is not of this stream. */
function startOf({ afterSequence, since }: SubscribeRequest, { first, last }: StreamBounds): bigint | Date {
  if (afterSequence === undefined) return since ? timestampDate(since) : last + 1n;
  if (since) throw invalidArgument('after_sequence and since: want one of them');
  const next = afterSequence + 1n;
  if (next >= first && next <= last + 1n) return next;
  throw outOfRange(`events behind ${afterSequence}: the stream has ${first} to ${last}`);
}
