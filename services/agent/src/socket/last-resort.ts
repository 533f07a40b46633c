import type { ServerHttp2Stream } from 'node:http2';
import { LongshoreError } from '@longshore/errors';
import { endWithError, type Route } from '@longshore/kit';
import { answerCall } from './grpc-message.ts';
import type { Caller, LocalRead } from './local-read.ts';

/** Ends a call with what was last known. */
export type LastResort = (stream: ServerHttp2Stream) => void;

/** What a read answers when nobody can be asked; undefined when only the owner knows. */
export async function lastResort(
  read: LocalRead,
  request: Uint8Array,
  caller: Caller,
): Promise<LastResort | undefined> {
  try {
    const outcome = await read(request, caller);
    return 'length' in outcome ? (stream) => answerCall(stream, outcome) : undefined;
  } catch (error) {
    return error instanceof LongshoreError ? (stream) => endWithError(stream, error) : undefined;
  }
}

/**
 * The route of a retry-safe call with its request whole, which is ended by `answer` when no replica can be reached, or
 * the last one that is tried goes away without an answer. `passOn` leaves a call alone that was answered meanwhile.
 */
export function withLastResort(stream: ServerHttp2Stream, route: Route, answer: LastResort): Route {
  const { upstream } = route;
  let attempts = 0;
  const end = () => {
    if (stream.headersSent || stream.destroyed || stream.closed) return;
    // Those of the call that was passed on.
    stream.removeAllListeners('wantTrailers');
    try {
      answer(stream);
    } catch {
      // More than a client takes: the call ends for want of its owner.
    }
  };
  return {
    ...route,
    upstream: {
      get size() {
        return upstream.size ?? 1;
      },
      async open(headers, options) {
        attempts += 1;
        try {
          const opened = await upstream.open(headers, options);
          // Heard before `passOn` does, which tries each replica, and the first one twice.
          const isLast = (upstream.size ?? 1) === 1 || attempts > (upstream.size ?? 1);
          if (isLast) opened.once('close', end);
          return opened;
        } catch (error) {
          end();
          throw error;
        }
      },
    },
  };
}
