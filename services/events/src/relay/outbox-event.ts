import { fromBinary } from '@bufbuild/protobuf';
import { type Timestamp, timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { LifecycleEvent } from '@longshore/messaging';
import { EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import type { OutboxRow } from '../storage/postgres/outbox-repository.ts';

/** The event of a row. A whole envelope as payload is somebody else's event with its own time: it is unpacked. */
export function eventOfRow(row: OutboxRow): LifecycleEvent {
  const { id, namespace, node, topic, subject, revision } = row;
  const base = { id, namespace, node, topic, subject, revision };
  if (row.typeUrl !== EnvelopeSchema.typeName) {
    return { ...base, time: timeOf(row), typeUrl: row.typeUrl, payload: row.payload };
  }
  const { timestamp, event } = fromBinary(EnvelopeSchema, row.payload);
  return {
    ...base,
    time: timestamp ?? timeOf(row),
    typeUrl: event?.typeUrl ?? '',
    payload: event?.value ?? new Uint8Array(),
  };
}

function timeOf({ createdAtUs }: OutboxRow): Timestamp {
  const time = timestampFromMs(Number(createdAtUs / 1000n));
  time.nanos += Number(createdAtUs % 1000n) * 1000;
  return time;
}
