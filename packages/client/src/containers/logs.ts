import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { StdioService, Stream } from '@longshore/proto/longshore/node/v1/stdio';
import type { CallOptions } from '@longshore/rpc';
import { dateOf } from '../call-time.ts';
import type { Connection } from '../connection/connection.ts';

export interface LogOptions extends CallOptions {
  /** Goes on until the task has ended. */
  follow?: boolean | undefined;
  since?: Date | undefined;
  until?: Date | undefined;
  /** Begins so many lines before the end. */
  tail?: number | undefined;
  /** Default: both. */
  stream?: 'stdout' | 'stderr' | undefined;
}

export interface LogOutput {
  readonly stream: 'stdout' | 'stderr';
  readonly data: Uint8Array;
  /** When the node read it. */
  readonly time: Date | undefined;
  /** Bytes that the log no longer had when its reader came to them. */
  readonly skippedBytes: bigint;
}

/** Throws NotFound for a container without a log, Unimplemented where nobody keeps one. */
export async function* readLogs(
  connection: Connection,
  containerId: string,
  { follow = false, since, until, tail, stream, ...options }: LogOptions,
): AsyncGenerator<LogOutput> {
  const request = {
    containerId,
    follow,
    ...(since && { since: timestampFromDate(since) }),
    ...(until && { until: timestampFromDate(until) }),
    ...(tail !== undefined && { tail: BigInt(tail) }),
    stdout: stream === 'stdout',
    stderr: stream === 'stderr',
  };
  for await (const { outputs } of connection.service(StdioService).logs(request, options)) {
    for (const { stream: from, data, time, skippedBytes } of outputs) {
      yield { stream: from === Stream.STDERR ? 'stderr' : 'stdout', data, time: dateOf(time), skippedBytes };
    }
  }
}
