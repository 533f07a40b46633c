import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { CausedEvent } from './grpc/call.ts';
import type { Scope } from './scope.ts';

/** A lifecycle event of one record, as the outbox keeps it. */
export interface RecordEvent extends CausedEvent {
  node: string;
  /** What the event is about, e.g. a container's id. */
  subject: string;
  /** The revision that the change gave the record, or drew for its deletion. */
  revision: bigint;
}

/** The event of a change; `init` is its payload. */
export function recordEvent<S extends DescMessage>(
  { scope, revision }: { readonly scope: Scope; readonly revision: bigint },
  subject: string,
  topic: string,
  schema: S,
  init: MessageInitShape<S>,
): RecordEvent {
  const payload = toBinary(schema, create(schema, init));
  return { ...scope, topic, subject, revision, typeUrl: schema.typeName, payload };
}
