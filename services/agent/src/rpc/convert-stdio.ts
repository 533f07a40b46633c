import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '@longshore/errors';
import {
  type ExitSchema,
  type LogsRequest,
  type OutputSchema,
  Stream,
} from '@longshore/proto/longshore/node/v1/stdio';
import type { OutputStream } from '../stdio/log-format.ts';
import type { LoggedOutput, LogQuery } from '../stdio/log-reader.ts';
import type { ProcessExit } from '../tasks/task-report.ts';

const NANOSECONDS = 1_000_000_000n;
const STREAM: Record<OutputStream, Stream> = { stdout: Stream.STDOUT, stderr: Stream.STDERR };

export function outputToProto(output: LoggedOutput): MessageInitShape<typeof OutputSchema> {
  const { stream, timeNs, data, skippedBytes } = output;
  return {
    stream: STREAM[stream],
    data,
    time: { seconds: timeNs / NANOSECONDS, nanos: Number(timeNs % NANOSECONDS) },
    skippedBytes: BigInt(skippedBytes),
  };
}

export function exitToProto({ exitStatus, exitedAt }: ProcessExit): MessageInitShape<typeof ExitSchema> {
  return { status: exitStatus, exitedAt };
}

/** Throws InvalidArgument for a tail of less than nothing. */
export function logQueryFromProto(request: LogsRequest): LogQuery {
  const { follow, since, until, tail, stdout, stderr } = request;
  if (tail !== undefined && tail < 0n) throw invalidArgument(`tail of ${tail} lines`);
  const both = stdout === stderr;
  const streams = (['stdout', 'stderr'] as const).filter((name) => both || request[name]);
  return {
    follow,
    streams: new Set(streams),
    sinceNs: since && nanosecondsOf(since),
    untilNs: until && nanosecondsOf(until),
    tail: tail === undefined ? undefined : Number(tail),
  };
}

function nanosecondsOf({ seconds, nanos }: Timestamp): bigint {
  return seconds * NANOSECONDS + BigInt(nanos);
}
