import type { Timestamp } from '@bufbuild/protobuf/wkt';
import type { EventAddress } from './subjects.ts';

/** A lifecycle event as the stream keeps it. */
export interface LifecycleEvent extends EventAddress {
  /** Unique for ever; the message id in the stream. */
  id: string;
  time: Timestamp;
  /** What the event is about, e.g. a container's id; empty when nobody knows. */
  subject: string;
  /** Of the record that changed, as of this change; 0 when the event tells of no record. */
  revision: bigint;
  /** Full protobuf name of the payload, as the sender wrote it. */
  typeUrl: string;
  payload: Uint8Array;
}
