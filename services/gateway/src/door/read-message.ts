import type { ServerHttp2Stream } from 'node:http2';
import { invalidArgument, LongshoreError, unimplemented } from '@longshore/errors';
import { type ReadRequest, readRequest } from '@longshore/kit';
import { MAX_MESSAGE_BYTES } from '@longshore/proto/limits';

/** Of gRPC's frames: whether the message is compressed, and its size. */
const PREFIX_BYTES = 5;

/** A request that was read to look into it: the message, and the bytes as they came, to be passed on. */
export interface ReadMessage {
  message: Uint8Array;
  request: ReadRequest;
}

/**
 * Reads the one message of a unary call. Throws ResourceExhausted for one that nobody would take, Unimplemented for a
 * compressed one, and InvalidArgument for what is no gRPC.
 */
export async function readMessage(stream: ServerHttp2Stream): Promise<ReadMessage> {
  const request = await readRequest(stream, MAX_MESSAGE_BYTES + PREFIX_BYTES);
  const { bytes, isWhole } = request;
  if (!isWhole) {
    throw new LongshoreError('ResourceExhausted', `request: more than ${MAX_MESSAGE_BYTES} bytes`);
  }
  if (bytes.length < PREFIX_BYTES || bytes.readUInt32BE(1) !== bytes.length - PREFIX_BYTES) {
    throw invalidArgument('request: want one message');
  }
  if (bytes[0] !== 0) throw unimplemented('compressed request');
  return { message: bytes.subarray(PREFIX_BYTES), request };
}
