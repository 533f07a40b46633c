import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { toGrpcStatus } from '@longshore/errors';

const { HTTP2_HEADER_STATUS, HTTP2_HEADER_CONTENT_TYPE } = constants;

/** Ends a call that has not been answered yet with a gRPC status, and with `more` for the caller. */
export function endWithError(
  stream: ServerHttp2Stream,
  error: unknown,
  more: OutgoingHttpHeaders = {},
): void {
  if (isOver(stream) || stream.headersSent) return;
  const headers = {
    [HTTP2_HEADER_STATUS]: 200,
    [HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
    ...statusTrailers(error),
    ...more,
  };
  stream.respond(headers, { endStream: true });
  // What the caller still sends is of no interest, but it must not stop the session's flow control.
  stream.resume();
}

/** Closed but not destroyed: the caller has reset its stream, and what it sent is not all read yet. */
export function isOver(stream: ServerHttp2Stream): boolean {
  return stream.destroyed || stream.closed || stream.aborted;
}

/** The status of an error as it goes over the wire. */
export function statusTrailers(error: unknown): OutgoingHttpHeaders {
  const { code, message } = toGrpcStatus(error);
  return { 'grpc-status': String(code), 'grpc-message': encodeURI(message.toWellFormed()) };
}
