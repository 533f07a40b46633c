import {
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { messageOf, toGrpcStatus, unavailable } from '@longshore/errors';
import { startRouteSpan } from './route-span.ts';
import type { Upstream } from './upstream.ts';

const { HTTP2_HEADER_PATH, HTTP2_HEADER_STATUS, HTTP2_HEADER_CONTENT_TYPE, NGHTTP2_CANCEL } = constants;

/** Where a call goes, and what is changed on the way. */
export interface Route {
  /** Names the target in errors, e.g. `service "content"`. */
  name: string;
  upstream: Upstream;
  /** Headers that replace the caller's of the same name. */
  headers: Record<string, string>;
  /** Sees the trailers, and may take some out, before the caller does. */
  takeTrailers?(trailers: IncomingHttpHeaders): void;
  /** What was read of the request already; it goes first. */
  request?: ReadRequest;
  /** Sees a whole answer of at most `maxBytes` that ended with status OK. */
  keepAnswer?: { maxBytes: number; keep(answer: WholeAnswer): void };
}

export interface ReadRequest {
  bytes: Buffer;
  /** Nothing follows. */
  isWhole: boolean;
}

/** A successful answer as it came over the wire. */
export interface WholeAnswer {
  headers: IncomingHttpHeaders;
  body: Buffer;
  trailers: IncomingHttpHeaders;
}

/**
 * Passes one gRPC call on as raw HTTP/2: data is piped with back-pressure in both directions and never decoded.
 * An upstream that is away, or goes away mid-call, ends the call with Unavailable; a caller that goes away
 * cancels the call upstream.
 */
export async function passOn(
  incoming: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  route: Route,
): Promise<void> {
  const { span, headers: trace } = startRouteSpan(String(headers[HTTP2_HEADER_PATH]), headers);
  incoming.once('close', () => span.end());
  let outgoing: ClientHttp2Stream;
  try {
    outgoing = await route.upstream.open({ ...forwardable(headers), ...trace, ...route.headers });
  } catch (error) {
    endWithError(incoming, unavailable(`${route.name}: ${messageOf(error)}`, { cause: error }));
    return;
  }
  if (isOver(incoming)) {
    // Nobody is left to tell of a failure.
    outgoing.on('error', () => undefined);
    outgoing.close(NGHTTP2_CANCEL);
    return;
  }
  new Passage(incoming, outgoing, route).start();
}

/** Reads a request to its end, or until it has more than `maxBytes`: the rest stays in the stream. */
export function readRequest(incoming: ServerHttp2Stream, maxBytes: number): Promise<ReadRequest> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    const settle = (isWhole: boolean) => {
      incoming.off('data', onData).off('end', onEnd).off('close', onClose);
      resolve({ bytes: Buffer.concat(chunks), isWhole });
    };
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      sizeBytes += chunk.length;
      if (sizeBytes <= maxBytes) return;
      incoming.pause();
      settle(false);
    };
    const onEnd = () => settle(true);
    const onClose = () => reject(unavailable('the caller has gone'));
    incoming.on('data', onData).on('end', onEnd).on('close', onClose);
  });
}

/** Answers a call with what another one got. */
export function replayAnswer(incoming: ServerHttp2Stream, { headers, body, trailers }: WholeAnswer): void {
  if (isOver(incoming)) return;
  incoming.on('wantTrailers', () => incoming.sendTrailers(trailers as OutgoingHttpHeaders));
  incoming.respond(headers as OutgoingHttpHeaders, { waitForTrailers: true });
  incoming.end(body);
}

/** Ends a call that has not been answered yet with a gRPC status alone. */
export function endWithError(stream: ServerHttp2Stream, error: unknown): void {
  if (isOver(stream) || stream.headersSent) return;
  const headers = {
    [HTTP2_HEADER_STATUS]: 200,
    [HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
    ...statusTrailers(error),
  };
  stream.respond(headers, { endStream: true });
  // What the caller still sends is of no interest, but it must not stop the session's flow control.
  stream.resume();
}

/** Both halves of a call that is being passed on. */
class Passage {
  readonly #incoming: ServerHttp2Stream;
  readonly #outgoing: ClientHttp2Stream;
  readonly #route: Route;
  #trailers: OutgoingHttpHeaders | undefined;
  /** All of the answer was read; trailers alone do not say so, they overtake what is still buffered. */
  #isComplete = false;
  #failure: Error | undefined;

  constructor(incoming: ServerHttp2Stream, outgoing: ClientHttp2Stream, route: Route) {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    this.#route = route;
  }

  start(): void {
    const incoming = this.#incoming;
    const outgoing = this.#outgoing;
    outgoing.on('response', (headers, flags) => this.#respond(headers, flags));
    outgoing.on('trailers', (trailers) => this.#keepTrailers(trailers));
    outgoing.on('end', () => {
      this.#isComplete = true;
    });
    outgoing.on('error', (error) => {
      this.#failure = error;
    });
    outgoing.on('close', () => this.#outgoingClosed());
    incoming.on('wantTrailers', () => incoming.sendTrailers(this.#finalTrailers()));
    incoming.on('error', () => outgoing.close(NGHTTP2_CANCEL));
    const cancel = () => {
      if (!outgoing.closed) outgoing.close(NGHTTP2_CANCEL);
    };
    // A caller that resets its stream without an error aborts it; the stream closes only when all was read.
    incoming.on('aborted', cancel).on('close', cancel);
    const { request } = this.#route;
    if (request?.isWhole) {
      outgoing.end(request.bytes);
      return;
    }
    if (request) outgoing.write(request.bytes);
    incoming.pipe(outgoing);
  }

  #respond(headers: IncomingHttpHeaders, flags: number): void {
    const incoming = this.#incoming;
    if (isOver(incoming)) return;
    const isLast = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    if (isLast) this.#route.takeTrailers?.(headers);
    try {
      incoming.respond(
        headers as OutgoingHttpHeaders,
        isLast ? { endStream: true } : { waitForTrailers: true },
      );
    } catch (error) {
      // An answer that HTTP/2 does not allow, e.g. status 101.
      this.#failure = error as Error;
      this.#outgoing.close(NGHTTP2_CANCEL);
      return;
    }
    if (isLast) return;
    if (this.#route.keepAnswer) collectAnswer(this.#outgoing, headers, this.#route.keepAnswer);
    this.#outgoing.pipe(incoming);
  }

  #keepTrailers(trailers: IncomingHttpHeaders): void {
    this.#route.takeTrailers?.(trailers);
    this.#trailers = trailers as OutgoingHttpHeaders;
  }

  #outgoingClosed(): void {
    const incoming = this.#incoming;
    if (isOver(incoming)) return;
    if (!incoming.headersSent) endWithError(incoming, this.#cut());
    else if (!incoming.writableEnded) incoming.end();
    // The caller's half is of no use any more; without this a caller that never half-closes keeps the stream open.
    incoming.unpipe(this.#outgoing);
    incoming.resume();
  }

  #cut(): Error {
    const reason = this.#failure?.message ?? 'the connection was cut';
    return unavailable(`${this.#route.name}: ${reason}`, { cause: this.#failure });
  }

  /** Never those of success for an answer that lacks a part. */
  #finalTrailers(): OutgoingHttpHeaders {
    return this.#isComplete && this.#trailers ? this.#trailers : statusTrailers(this.#cut());
  }
}

/** Closed but not destroyed: the caller has reset its stream, and what it sent is not all read yet. */
function isOver(stream: ServerHttp2Stream): boolean {
  return stream.destroyed || stream.closed || stream.aborted;
}

function collectAnswer(
  outgoing: ClientHttp2Stream,
  headers: IncomingHttpHeaders,
  { maxBytes, keep }: NonNullable<Route['keepAnswer']>,
): void {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  let trailers: IncomingHttpHeaders = {};
  outgoing.on('trailers', (received) => {
    trailers = received;
  });
  outgoing.on('data', (chunk: Buffer) => {
    sizeBytes += chunk.length;
    if (sizeBytes <= maxBytes) chunks.push(chunk);
    else chunks.length = 0;
  });
  outgoing.on('end', () => {
    if (sizeBytes > maxBytes || trailers['grpc-status'] !== '0') return;
    keep({ headers, body: Buffer.concat(chunks), trailers });
  });
}

/** The caller's headers without those that belong to its own connection. */
function forwardable(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const { host: _host, ...rest } = headers;
  return { ...rest, ':authority': 'localhost', [HTTP2_HEADER_PATH]: headers[HTTP2_HEADER_PATH] };
}

function statusTrailers(error: unknown): OutgoingHttpHeaders {
  const { code, message } = toGrpcStatus(error);
  return { 'grpc-status': String(code), 'grpc-message': encodeURI(message.toWellFormed()) };
}
