import { constants, type ServerHttp2Stream } from 'node:http2';
import { LongshoreError } from '@longshore/errors';
import { MAX_MESSAGE_BYTES } from '@longshore/proto/limits';

/** A flag, 1 for compressed, and the length of the message. */
const PREFIX_BYTES = 5;

/** The one message that a unary or server-streaming request is; undefined for what only a real server can judge. */
export function messageIn(request: Buffer): Buffer | undefined {
  if (request.length < PREFIX_BYTES || request[0] !== 0) return undefined;
  return request.readUInt32BE(1) === request.length - PREFIX_BYTES
    ? request.subarray(PREFIX_BYTES)
    : undefined;
}

/** The messages of a whole answer; throws RangeError for one that is compressed or cut. */
export function messagesIn(body: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const end = at + PREFIX_BYTES + body.readUInt32BE(at + 1);
    if (body[at] !== 0 || end > body.length) throw new RangeError('not a plain gRPC answer');
    messages.push(body.subarray(at + PREFIX_BYTES, end));
    at = end;
  }
  return messages;
}

/** A message as it goes over the wire. */
export function framed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Answers a call with the messages and status OK. Throws ResourceExhausted for one that no client takes. */
export function answerCall(stream: ServerHttp2Stream, messages: readonly Uint8Array[]): void {
  const parts: Uint8Array[] = [];
  for (const message of messages) {
    if (message.length > MAX_MESSAGE_BYTES) {
      const problem = `answer of ${message.length} bytes: more than ${MAX_MESSAGE_BYTES}: resource exhausted`;
      throw new LongshoreError('ResourceExhausted', problem);
    }
    const prefix = Buffer.alloc(PREFIX_BYTES);
    prefix.writeUInt32BE(message.length, 1);
    parts.push(prefix, message);
  }
  if (stream.destroyed || stream.closed || stream.aborted) return;
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.respond(
    { [constants.HTTP2_HEADER_STATUS]: 200, [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc' },
    { waitForTrailers: true },
  );
  stream.end(Buffer.concat(parts));
}
