import type { ServerHttp2Stream } from 'node:http2';
import { LongshoreError } from '@longshore/errors';
import { endWithError, type LastResort } from '@longshore/kit';
import { answerCall, type Message, streamAnswer } from './grpc-message.ts';
import type { Caller, LocalRead } from './local-read.ts';

/** Answers a read from what was last known, unless only its owner knows. */
export function lastResort(
  stream: ServerHttp2Stream,
  read: LocalRead,
  request: Uint8Array,
  caller: Caller,
): LastResort {
  return async () => {
    try {
      const outcome = await read(request, caller);
      if ('messages' in outcome) return () => void streamAnswer(stream, outcome.messages);
      return 'length' in outcome ? () => answerOrFail(stream, outcome) : undefined;
    } catch (error) {
      return error instanceof LongshoreError ? () => endWithError(stream, error) : undefined;
    }
  };
}

function answerOrFail(stream: ServerHttp2Stream, messages: readonly Message[]): void {
  try {
    answerCall(stream, messages);
  } catch (error) {
    // More than a client takes.
    endWithError(stream, error);
  }
}
