import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { timeToJson } from '../time.ts';

/** How a process has ended. */
export function exitToJson({
  exitStatus,
  exitedAt,
}: {
  exitStatus: number;
  exitedAt?: Timestamp | undefined;
}) {
  return { exit_status: exitStatus, exited_at: timeToJson(exitedAt) };
}
