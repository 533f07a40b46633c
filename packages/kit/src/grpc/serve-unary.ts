import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { internal, LongshoreError, messageOf } from '@longshore/errors';
import { MAX_MESSAGE_BYTES } from '@longshore/proto/limits';
import { endWithError, isOver } from './end-with-error.ts';
import { HttpCall } from './http-call.ts';
import { readRequest } from './route.ts';
import { answerUnary } from './unary-answer.ts';
import type { UnaryMethod } from './unary-method.ts';

/** A flag, 0 for what is not compressed, and the length of the message. */
const PREFIX_BYTES = 5;

/** Whether `serveUnary` can: what is compressed, or no gRPC, is for grpc-js to judge. */
export function isPlain(headers: IncomingHttpHeaders): boolean {
  const encoding = headers['grpc-encoding'];
  return (
    (encoding === undefined || encoding === 'identity') &&
    String(headers[constants.HTTP2_HEADER_CONTENT_TYPE]).startsWith('application/grpc')
  );
}

/**
 * Answers a call by a unary method, in the place of grpc-js's server, which takes twice as long for what most calls are:
 * one message each way. Never rejects.
 */
export async function serveUnary(
  incoming: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  method: UnaryMethod,
): Promise<void> {
  // A broken stream has ended for both sides by the time that this is heard; nobody is left to tell.
  incoming.on('error', () => undefined);
  try {
    const { bytes, isWhole } = await readRequest(incoming, PREFIX_BYTES + MAX_MESSAGE_BYTES);
    const request = decoded(method, bytes, isWhole);
    if (isOver(incoming)) return;
    const call = new HttpCall(String(headers[constants.HTTP2_HEADER_PATH]), headers);
    // A caller that resets its stream without an error aborts it.
    incoming.on('aborted', call.cancel).on('close', call.cancel);
    const outcome = await call.outcomeOf(method.run(call, request));
    if (!isOver(incoming)) answerUnary(incoming, outcome);
  } catch (error) {
    endWithError(incoming, error);
  }
}

/** Throws what grpc-js answers for a request that is none. */
function decoded(method: UnaryMethod, request: Buffer, isWhole: boolean): unknown {
  const sizeBytes = request.length >= PREFIX_BYTES ? request.readUInt32BE(1) : 0;
  if (sizeBytes > MAX_MESSAGE_BYTES) {
    const problem = `request of ${sizeBytes} bytes: more than ${MAX_MESSAGE_BYTES}: resource exhausted`;
    throw new LongshoreError('ResourceExhausted', problem);
  }
  if (!isWhole || request.length !== PREFIX_BYTES + sizeBytes || request[0] !== 0)
    throw internal('request is not one plain message');
  try {
    return method.decode(request.subarray(PREFIX_BYTES));
  } catch (error) {
    throw internal(`request cannot be decoded: ${messageOf(error)}`, { cause: error });
  }
}
