import { constants, type ServerHttp2Stream } from 'node:http2';
import type { UnaryOutcome } from './unary-method.ts';

const { HTTP2_HEADER_CONTENT_TYPE, HTTP2_HEADER_STATUS } = constants;

/** A flag, 0 for what is not compressed, and the length of the message. */
const PREFIX_BYTES = 5;

/** Nobody wants the date; the types do not know that it can be left out. */
const RESPONSE = { waitForTrailers: true, sendDate: false };

/** Answers a call that has had no answer yet. */
export function answerUnary(incoming: ServerHttp2Stream, { message, trailers }: UnaryOutcome): void {
  const headers = { [HTTP2_HEADER_STATUS]: 200, [HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc' };
  if (!message) {
    incoming.respond({ ...headers, ...trailers }, { endStream: true });
    return;
  }
  incoming.on('wantTrailers', () => incoming.sendTrailers(trailers));
  incoming.respond(headers, RESPONSE);
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, PREFIX_BYTES);
  incoming.end(framed);
}
