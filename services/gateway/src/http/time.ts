import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';

/** RFC 3339, in UTC. */
export function timeToJson(timestamp: Timestamp | undefined): string | undefined {
  return timestamp && timestampDate(timestamp).toISOString();
}
