import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { Metadata } from '@grpc/grpc-js';
import { LongshoreError } from '@longshore/errors';
import type { RawCall } from './call.ts';
import { isOver, statusTrailers } from './end-with-error.ts';
import type { Route } from './route.ts';
import { startRouteSpan } from './route-span.ts';
import { timeoutOf } from './timeout.ts';
import type { UnaryMethod, UnaryOutcome } from './unary-method.ts';

const { HTTP2_HEADER_CONTENT_TYPE, HTTP2_HEADER_PATH, HTTP2_HEADER_STATUS } = constants;

/** A flag, 0 for what is not compressed, and the length of the message. */
const PREFIX_BYTES = 5;

/** Nobody wants the date; the types do not know that it can be left out. */
const RESPONSE = { waitForTrailers: true, sendDate: false };

/**
 * Answers a call by a method of this very process, in the way in which `passOn` would by its server, without the hop: the
 * headers and trailers of the route are used alike. When it resolves, the answer is on its way, or nobody waits for it.
 */
export async function answerHere(
  incoming: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  method: UnaryMethod,
  request: unknown,
  route: Pick<Route, 'headers' | 'takeTrailers'>,
): Promise<void> {
  // One who left already says so no more.
  if (isOver(incoming)) return;
  const path = String(headers[HTTP2_HEADER_PATH]);
  const { span, headers: trace } = startRouteSpan(path, headers);
  incoming.once('close', () => span.end());
  const call = new CallHere(path, { ...headers, ...trace, ...route.headers });
  // A caller that resets its stream without an error aborts it.
  incoming.on('aborted', call.cancel).on('close', call.cancel);
  const outcome = await call.outcomeOf(method.run(call, request));
  await route.takeTrailers?.(outcome.trailers as IncomingHttpHeaders);
  if (!isOver(incoming)) answer(incoming, outcome);
}

/** Cancelled when its caller leaves it, or its deadline passes; not by its answer. */
class CallHere implements RawCall {
  readonly metadata: Metadata;
  readonly #path: string;
  readonly #timeoutMs: number;
  readonly #deadlineMs: number;
  readonly #listeners: (() => void)[] = [];
  #isDone = false;

  constructor(path: string, headers: IncomingHttpHeaders) {
    this.metadata = Metadata.fromHttp2Headers(headers);
    this.#path = path;
    this.#timeoutMs = timeoutOf(headers);
    this.#deadlineMs = Date.now() + this.#timeoutMs;
  }

  getPath(): string {
    return this.#path;
  }

  getDeadline(): Date | number {
    return Number.isFinite(this.#deadlineMs) ? new Date(this.#deadlineMs) : this.#deadlineMs;
  }

  on(_event: 'cancelled', listener: () => void): void {
    this.#listeners.push(listener);
  }

  readonly cancel = (): void => {
    if (this.#isDone) return;
    this.#isDone = true;
    for (const listener of this.#listeners) listener();
  };

  /** What comes first, that or the deadline. */
  async outcomeOf(running: Promise<UnaryOutcome>): Promise<UnaryOutcome> {
    const late = Promise.withResolvers<UnaryOutcome>();
    const timer = Number.isFinite(this.#timeoutMs)
      ? setTimeout(() => {
          this.cancel();
          late.resolve(TOO_LATE());
        }, this.#timeoutMs)
      : undefined;
    const outcome = await (timer ? Promise.race([running, late.promise]) : running);
    clearTimeout(timer);
    this.#isDone = true;
    return outcome;
  }
}

/** In the words of grpc-js. */
const TOO_LATE = (): UnaryOutcome => ({
  trailers: statusTrailers(new LongshoreError('DeadlineExceeded', 'Deadline exceeded')),
});

function answer(incoming: ServerHttp2Stream, { message, trailers }: UnaryOutcome): void {
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
