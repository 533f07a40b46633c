import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';

/** How a process has ended. */
export interface ExitStatus {
  /** 128 and the signal's number when a signal ended it. */
  readonly code: number;
  readonly exitedAt: Date | undefined;
}

export function exitStatusFromProto(exit: {
  exitStatus: number;
  exitedAt?: Timestamp | undefined;
}): ExitStatus {
  return { code: exit.exitStatus, exitedAt: exit.exitedAt && timestampDate(exit.exitedAt) };
}
