import { fromJson, toJson } from '@bufbuild/protobuf';
import { type Timestamp, TimestampSchema } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '@longshore/errors';
import { anyToJson } from '@longshore/proto';
import type { LifecycleEvent } from './lifecycle-event.ts';

/**
 * The JSON document of an event: CloudEvents 1.0, structured mode. Extension attributes have lower-case names
 * without punctuation, as that specification wants.
 */
export interface CloudEvent {
  specversion: '1.0';
  id: string;
  /** `/namespaces/<namespace>/nodes/<node or _>` */
  source: string;
  /** `io.longshore` and the topic with dots for slashes: `io.longshore.tasks.exit` */
  type: string;
  subject?: string;
  /** RFC 3339, UTC, up to nanoseconds. */
  time: string;
  datacontenttype: 'application/json';
  /** The event with the field names of its .proto file. Absent when its type is not known here. */
  data?: unknown;
  namespace: string;
  node: string;
  topic: string;
  /** A decimal string: CloudEvents' integers have 32 bits. */
  revision: string;
  /** The original `Any`: its type URL, and its value in base64. */
  anytypeurl: string;
  anyvalue: string;
}

const TYPE_PREFIX = 'io.longshore';

/** NATS takes messages of 1 MiB with their headers, unless configured otherwise. */
const MAX_DOCUMENT_BYTES = 1_000_000;

/** Throws InvalidArgument for a time that JSON's timestamps cannot hold. */
export function toCloudEvent(event: LifecycleEvent): CloudEvent {
  const data = anyToJson({ typeUrl: event.typeUrl, value: event.payload });
  return {
    specversion: '1.0',
    id: event.id,
    source: `/namespaces/${encodeURIComponent(event.namespace)}/nodes/${encodeURIComponent(event.node)}`,
    type: `${TYPE_PREFIX}${event.topic.replaceAll('/', '.')}`,
    ...(event.subject === '' ? {} : { subject: event.subject }),
    time: timeToJson(event.time),
    datacontenttype: 'application/json',
    ...(data === undefined ? {} : { data }),
    namespace: event.namespace,
    node: event.node,
    topic: event.topic,
    revision: event.revision.toString(),
    anytypeurl: event.typeUrl,
    anyvalue: Buffer.from(event.payload).toString('base64'),
  };
}

/** The event of a document made by {@link toCloudEvent}. Throws InvalidArgument for any other. */
export function fromCloudEvent(document: CloudEvent): LifecycleEvent {
  try {
    return {
      id: text(document.id),
      time: fromJson(TimestampSchema, document.time),
      namespace: text(document.namespace),
      node: text(document.node),
      topic: text(document.topic),
      subject: document.subject ?? '',
      revision: BigInt(document.revision),
      typeUrl: text(document.anytypeurl),
      payload: Buffer.from(text(document.anyvalue), 'base64'),
    };
  } catch (error) {
    throw invalidArgument('document is no longshore event', { cause: error });
  }
}

/** As UTF-8. A document that would not fit into a message goes without `data`, which `anyvalue` holds too. */
export function encodeEvent(event: LifecycleEvent): Uint8Array {
  const document = toCloudEvent(event);
  const bytes = new TextEncoder().encode(JSON.stringify(document));
  if (bytes.length <= MAX_DOCUMENT_BYTES) return bytes;
  const { data: _, ...withoutData } = document;
  return new TextEncoder().encode(JSON.stringify(withoutData));
}

export function decodeEvent(bytes: Uint8Array): LifecycleEvent {
  try {
    return fromCloudEvent(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (error) {
    throw invalidArgument('message is no longshore event', { cause: error });
  }
}

function timeToJson(time: Timestamp): string {
  try {
    return toJson(TimestampSchema, time);
  } catch (error) {
    throw invalidArgument(`timestamp ${time.seconds}s ${time.nanos}ns`, { cause: error });
  }
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`want a string, not ${typeof value}`);
  return value;
}
