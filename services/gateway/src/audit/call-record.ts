import type { Http2Session, IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { fromGrpcStatus, GrpcCode } from '@longshore/errors';
import { isOver } from '@longshore/kit';
import type { AuditEntry, AuditLog, AuditResult } from './audit-log.ts';
import { inputOf } from './inputs.ts';
import { subjectOf } from './subject.ts';

/** What a gRPC call is about; nothing for one whose request is a stream. */
export function grpcSubject(path: string, message: Uint8Array | undefined): AuditEntry['subject'] {
  const input = message && inputOf(path);
  return input ? subjectOf(input, message) : {};
}

/** The record of one gRPC call, which ends with its stream. */
export interface CallRecord {
  /** Sees what the service answered, which counts also when its caller was gone by then. */
  seeTrailers(trailers: IncomingHttpHeaders): void;
}

/** Throws Unavailable when the intent cannot be kept, Canceled when the caller has gone meanwhile. */
export async function openCallRecord(
  log: AuditLog,
  entry: AuditEntry,
  stream: ServerHttp2Stream,
): Promise<CallRecord> {
  const record = await log.begin(entry);
  let answered: unknown;
  stream.once('close', () => record.end(resultOf(answered ?? sentStatus(stream))));
  if (isOver(stream)) record.end({ error: 'Canceled' });
  return {
    seeTrailers(trailers) {
      answered ??= trailers['grpc-status'];
    },
  };
}

/** Where a call comes from; empty for the unix socket. */
export function addressOf(session: Http2Session | undefined): string {
  try {
    return session?.socket?.remoteAddress ?? '';
  } catch {
    // The session has no socket any more.
    return '';
  }
}

/** Also the gateway's own, when no service has answered. */
function sentStatus({ sentTrailers, sentHeaders }: ServerHttp2Stream): unknown {
  const headers = sentHeaders as OutgoingHttpHeaders | undefined;
  return sentTrailers?.['grpc-status'] ?? headers?.['grpc-status'];
}

function resultOf(status: unknown): AuditResult {
  if (status === undefined) return 'unknown';
  const code = Number(status);
  return code === GrpcCode.OK ? 'ok' : { error: fromGrpcStatus({ code, message: '' }).kind };
}
