import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { LongshoreError } from '@longshore/errors';
import { isOver, passBulk, statusTrailers } from '@longshore/kit';
import { MAX_MESSAGE_BYTES } from '@longshore/proto/limits';

/** A flag, 1 for compressed, and the length of the message. */
const PREFIX_BYTES = 5;

/** What is larger is not copied into one piece: that takes longer than handing over several. */
const UNCOPIED_BYTES = 16 * 1024;

/** A message of protobuf, or its parts one behind the other: what is large need not be copied into one. */
export type Message = Uint8Array | readonly Uint8Array[];

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
export function framed(message: Message): Buffer {
  return Buffer.concat(partsOf(message));
}

/** Answers a call with the messages and status OK. Throws ResourceExhausted for one that no client takes. */
export function answerCall(stream: ServerHttp2Stream, messages: readonly Message[]): void {
  const parts = messages.flatMap(partsOf);
  if (isOver(stream)) return;
  begin(stream, () => OK);
  const last = parts.at(-1);
  if (!last || last.length < UNCOPIED_BYTES) {
    stream.end(Buffer.concat(parts));
    return;
  }
  stream.cork();
  for (const part of parts) stream.write(part);
  stream.end();
  passBulk(last.length);
}

/** Answers a call with messages as they come, no faster than its caller takes them, and with the status of their end. */
export async function streamAnswer(
  stream: ServerHttp2Stream,
  messages: AsyncIterable<Message>,
): Promise<void> {
  if (isOver(stream)) return;
  let status: OutgoingHttpHeaders = OK;
  begin(stream, () => status);
  try {
    for await (const message of messages) {
      if (isOver(stream)) return;
      const bytes = framed(message);
      if (!stream.write(bytes)) await drainedOrClosed(stream);
      passBulk(bytes.length);
    }
  } catch (error) {
    status = statusTrailers(error);
  }
  if (!isOver(stream)) stream.end();
}

const EMPTY = new Uint8Array();
const OK: OutgoingHttpHeaders = { 'grpc-status': '0' };
/** Nobody wants the date; the types do not know that it can be left out. */
const RESPONSE = { waitForTrailers: true, sendDate: false };

function begin(stream: ServerHttp2Stream, trailers: () => OutgoingHttpHeaders): void {
  stream.on('wantTrailers', () => stream.sendTrailers(trailers()));
  stream.respond(
    { [constants.HTTP2_HEADER_STATUS]: 200, [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc' },
    RESPONSE,
  );
}

/** What stands before the last part of a message, and that. */
function partsOf(message: Message): Uint8Array[] {
  const parts = message instanceof Uint8Array ? [message] : message;
  const last = parts.at(-1) ?? EMPTY;
  let headBytes = 0;
  for (let n = 0; n < parts.length - 1; n++) headBytes += parts[n]!.length;
  const sizeBytes = headBytes + last.length;
  if (sizeBytes > MAX_MESSAGE_BYTES) {
    const problem = `answer of ${sizeBytes} bytes: more than ${MAX_MESSAGE_BYTES}: resource exhausted`;
    throw new LongshoreError('ResourceExhausted', problem);
  }
  const head = Buffer.allocUnsafe(PREFIX_BYTES + headBytes);
  head[0] = 0;
  head.writeUInt32BE(sizeBytes, 1);
  for (let n = 0, at = PREFIX_BYTES; n < parts.length - 1; at += parts[n++]!.length) head.set(parts[n]!, at);
  return [head, last];
}

function drainedOrClosed(stream: ServerHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done).off('close', done).off('aborted', done);
      resolve();
    };
    stream.on('drain', done).on('close', done).on('aborted', done);
  });
}
