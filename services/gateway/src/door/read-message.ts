import type { ServerHttp2Stream } from 'node:http2';
import { invalidArgument, LongshoreError, unavailable, unimplemented } from '@longshore/errors';
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
  if (!isWhole) throw tooLarge();
  if (bytes.length < PREFIX_BYTES || bytes.readUInt32BE(1) !== bytes.length - PREFIX_BYTES) {
    throw invalidArgument('request: want one message');
  }
  if (bytes[0] !== 0) throw unimplemented('compressed request');
  return { message: bytes.subarray(PREFIX_BYTES), request };
}

/**
 * Reads a stream of requests as far as its first message goes; the rest stays in the stream. Throws as {@link readMessage},
 * and Unavailable when the caller has gone before.
 */
export function readFirstMessage(stream: ServerHttp2Stream): Promise<ReadMessage> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0);
    const settle = (end: () => void) => {
      stream.off('data', onData).off('end', onEnd).off('close', onClose);
      stream.pause();
      end();
    };
    const onData = (chunk: Buffer) => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      if (bytes.length < PREFIX_BYTES) return;
      const sizeBytes = bytes.readUInt32BE(1);
      if (sizeBytes > MAX_MESSAGE_BYTES) settle(() => reject(tooLarge()));
      else if (bytes[0] !== 0) settle(() => reject(unimplemented('compressed request')));
      else if (bytes.length >= PREFIX_BYTES + sizeBytes) {
        const message = bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + sizeBytes);
        settle(() => resolve({ message, request: { bytes, isWhole: false } }));
      }
    };
    const onEnd = () => settle(() => reject(invalidArgument('request: want a message')));
    const onClose = () => settle(() => reject(unavailable('the caller has gone')));
    stream.on('data', onData).on('end', onEnd).on('close', onClose);
  });
}

function tooLarge(): LongshoreError {
  return new LongshoreError('ResourceExhausted', `request: more than ${MAX_MESSAGE_BYTES} bytes`);
}
