import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { isKind, unimplemented } from '@longshore/errors';
import { Events } from '@longshore/proto/containerd/services/events/v1/events';
import type { Envelope } from '@longshore/proto/containerd/types/event';
import { EventService } from '@longshore/proto/longshore/events/v1/events';
import type { Calls } from '../calls.ts';
import { hintAtNamespace } from '../hint-at-namespace.ts';
import { eventFilters } from './event-filter.ts';

export interface HeardEvent {
  envelope: Envelope;
  /** Unique for ever; empty where a node's own socket tells of it. */
  id: string;
  node: string;
}

export interface EventsWanted {
  /** As they were typed. */
  filters: readonly string[];
  /** Default: all that the caller may see. */
  namespace: string | undefined;
  /** Stored ones come first, which gateways have; default: from now on. */
  since: Date | undefined;
  signal: AbortSignal;
}

/** What happens: as a fleet keeps it, at a gateway; as it comes, on a node's own socket and at a containerd. */
export async function* hearEvents(client: Calls, wanted: EventsWanted): AsyncGenerator<HeardEvent> {
  try {
    yield* fromFleet(client, wanted);
    return;
  } catch (error) {
    if (wanted.namespace === undefined) hintAtNamespace(error, client);
    if (!isKind(error, 'Unimplemented')) throw error;
    if (wanted.since) throw notKept();
  }
  const { signal, namespace } = wanted;
  const request = { filters: eventFilters(wanted.filters, namespace) };
  for await (const envelope of client.service(Events).subscribe(request, { signal })) {
    yield { envelope, id: '', node: '' };
  }
}

function notKept(): Error {
  const error = unimplemented('events of the past: a node keeps none of them');
  return Object.assign(error, {
    hint: 'A fleet keeps them: ask a gateway, by --context or --address. Without --since those that happen from now on are told.',
  });
}

async function* fromFleet(client: Calls, wanted: EventsWanted): AsyncGenerator<HeardEvent> {
  const { signal, since, namespace } = wanted;
  const request = {
    filters: eventFilters(wanted.filters, undefined),
    node: client.node ?? '',
    ...(since && { since: timestampFromDate(since) }),
  };
  const events = client.service(EventService);
  // Who may read one namespace need not be allowed to read them all.
  const responses =
    namespace === undefined
      ? events.subscribeFleet({ wanted: request }, { signal })
      : events.subscribe(request, { signal });
  for await (const { event } of responses) {
    if (event?.envelope) yield { envelope: event.envelope, id: event.id, node: event.node };
  }
}
