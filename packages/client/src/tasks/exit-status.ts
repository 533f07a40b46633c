import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { dateOf } from '../call-time.ts';

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
  return { code: exit.exitStatus, exitedAt: dateOf(exit.exitedAt) };
}
