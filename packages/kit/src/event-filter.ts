import { ABSENT, type Adaptor, type Filter, parseFilters, stringField } from '@longshore/filters';
import { anyToJson } from '@longshore/proto';
import type { Envelope } from '@longshore/proto/containerd/types/event';

/**
 * Whether an event passes the filters of a `Subscribe`. Fields: `namespace`, `topic`, `event.<field>` with the
 * field names of the .proto file; the payload is decoded only when a filter asks for it. In a file of its own, not in
 * the index: it loads the registry of all messages.
 * Source: containerd core/events/events.go.
 */
export function eventFilter(filters: readonly string[]): (envelope: Envelope) => boolean {
  const filter: Filter = parseFilters(filters);
  return (envelope) => filter.matchesAll || filter.matches(adaptorOf(envelope));
}

function adaptorOf(envelope: Envelope): Adaptor {
  let payload: unknown;
  return (path) => {
    const [field, ...rest] = path;
    if (field === 'namespace') return stringField(envelope.namespace);
    if (field === 'topic') return stringField(envelope.topic);
    if (field !== 'event' || !envelope.event) return ABSENT;
    payload ??= anyToJson(envelope.event) ?? {};
    return fieldOf(payload, rest);
  };
}

function fieldOf(payload: unknown, path: readonly string[]) {
  let value = payload;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return ABSENT;
    value = (value as Record<string, unknown>)[name];
  }
  return typeof value === 'object' || value === undefined ? ABSENT : stringField(String(value));
}
