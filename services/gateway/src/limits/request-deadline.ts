import { constants, type ServerHttp2Stream } from 'node:http2';
import { LongshoreError } from '@longshore/errors';
import { endWithError } from '@longshore/kit';

/** Ends a call whose request, which is one message, has not come as a whole in time. */
export function limitRequestTime(stream: ServerHttp2Stream, timeoutMs: number): void {
  if (stream.readableEnded || stream.destroyed) return;
  const timer = setTimeout(() => {
    const problem = `request: it did not come in ${timeoutMs} ms: deadline exceeded`;
    endWithError(stream, new LongshoreError('DeadlineExceeded', problem));
    letGo(stream);
  }, timeoutMs).unref();
  const stop = () => clearTimeout(timer);
  stream.once('end', stop).once('close', stop);
}

/** In which the rest of a request comes that is on its way. */
const REST_MS = 1_000;

/** A caller that has been answered and goes on sending is told that nobody listens: it would hold the stream. */
export function letGo(stream: ServerHttp2Stream): void {
  if (stream.readableEnded || stream.destroyed) return;
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), REST_MS).unref();
  stream.once('close', () => clearTimeout(timer));
}

/** A call that was ended from here; a caller that reads nothing does not hold it open. */
export function closeSoon(stream: ServerHttp2Stream): void {
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), REST_MS).unref();
  stream.once('close', () => clearTimeout(timer));
}
