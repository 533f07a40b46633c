import { toJson } from '@bufbuild/protobuf';
import { TimestampSchema } from '@bufbuild/protobuf/wkt';
import type { Event } from '@longshore/proto/longshore/events/v1/events';
import { object, text, time } from '../schemas.ts';

export const eventSchema = object({
  id: { ...text, description: 'Unique for ever.' },
  time,
  namespace: text,
  node: { ...text, description: "`_`: the fleet's own scope." },
  topic: { ...text, description: 'e.g. `/tasks/exit`' },
  subject: { ...text, description: "What it is about, e.g. a container's id." },
  revision: { ...text, description: 'Of the record that changed, in decimal; 0: it tells of no record.' },
  type: {
    ...text,
    description: 'Of `data`: the name of a protobuf message, e.g. `containerd.events.TaskExit`.',
  },
  data: { description: 'With the field names of its .proto file; absent when the type is not known here.' },
});

type AnyToJson = typeof import('@longshore/proto').anyToJson;

/** Loads the registry of all messages, which few need. */
export async function eventEncoder(): Promise<(event: Event) => object> {
  const { anyToJson } = await import('@longshore/proto');
  return (event) => eventToJson(event, anyToJson);
}

function eventToJson({ id, node, subject, revision, envelope }: Event, anyToJson: AnyToJson) {
  const { timestamp, namespace, topic, event } = envelope ?? {};
  return {
    id,
    time: timestamp && toJson(TimestampSchema, timestamp),
    namespace,
    node,
    topic,
    subject,
    revision: revision.toString(),
    type: event?.typeUrl ?? '',
    data: event && anyToJson(event),
  };
}
