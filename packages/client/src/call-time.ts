import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';

/** The time of a record; records without one are of servers that do not keep it. */
export function dateOf(time: Timestamp | undefined): Date | undefined {
  return time && timestampDate(time);
}
