import {
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Readable, Writable } from 'node:stream';
import { messageOf, unavailable } from '@longshore/errors';
import { passBulk } from '../bulk-memory.ts';
import { endWithError, isOver, statusTrailers } from './end-with-error.ts';
import { cannotSay, LAST_RESORT_AFTER_MS, type LastResort } from './last-resort.ts';
import { RequestLog } from './request-log.ts';
import { startRouteSpan } from './route-span.ts';
import type { OpenOptions } from './upstream.ts';
import { WholeMessages } from './whole-messages.ts';

const { HTTP2_HEADER_PATH, NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM } = constants;

/** More than the answer to most reads of one record. */
const MAX_HELD_BYTES = 64 * 1024;

/** Opens streams to a server: an `Upstream`, or what stands before one. */
export interface Opener {
  /** How many replicas there are to try; 1 when it does not say. */
  readonly size?: number;
  open(headers: OutgoingHttpHeaders, options?: OpenOptions): Promise<ClientHttp2Stream>;
}

/** Where a call goes, and what is changed on the way. */
export interface Route {
  /** Names the target in errors, e.g. `service "content"`. */
  name: string;
  upstream: Opener;
  /** Headers that replace the caller's of the same name. */
  headers: Record<string, string>;
  /**
   * Sees the trailers, and may take some out, before the caller does. The caller gets them once a promise of it is kept;
   * it must not be rejected.
   */
  takeTrailers?(trailers: IncomingHttpHeaders): void | Promise<void>;
  /** Calls with the same key go to the same replica while that is well. */
  sticky?: string | undefined;
  /** The call may be made twice, e.g. a read: it is, elsewhere, when a replica dies before it has answered. */
  retrySafe?: boolean | undefined;
  /** What was read of the request already; it goes first. */
  request?: ReadRequest;
  /** Sees a whole answer of at most `maxBytes` that ended with status OK. */
  keepAnswer?: KeepAnswer;
  /** Lets another replica go on with an answer that was cut; for retry-safe calls whose request is there as a whole. */
  resume?: Resume;
  /**
   * Ends a retry-safe call that was not answered: nobody was reached, the last one that was tried went away, or cannot say
   * ({@link cannotSay}), or takes too long to begin.
   */
  lastResort?: LastResort;
  /** Gets what ends the call from this side, with an error's status, whatever has come of it. */
  onStart?(stop: (error: unknown) => void): void;
}

/** How to ask for the rest of one answer. */
export interface Resume {
  /** Sees each message, and answers what the caller gets of it: the same one before the first cut. Must not throw. */
  pass(message: Uint8Array): Uint8Array;
  /** The request for what is missing, as it goes over the wire. */
  rest(): Buffer;
}

export interface KeepAnswer {
  maxBytes: number;
  /** Must not throw. */
  keep(answer: WholeAnswer): void;
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
 * What no replica has acted on is tried at another one. An upstream that is away, or goes away mid-call, ends the call
 * with Unavailable; a caller that goes away cancels the call upstream.
 */
export async function passOn(
  incoming: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  route: Route,
): Promise<void> {
  const { span, headers: trace } = startRouteSpan(String(headers[HTTP2_HEADER_PATH]), headers);
  incoming.once('close', () => span.end());
  await new Passage(incoming, { ...forwardable(headers), ...trace, ...route.headers }, route).start();
}

/**
 * Reads a request to its end, or until it has more than `maxBytes`: the rest stays in the stream. Throws Unavailable when the
 * caller has gone.
 */
export function readRequest(incoming: ServerHttp2Stream, maxBytes: number): Promise<ReadRequest> {
  // Nothing more would be heard of it.
  if (isOver(incoming)) return Promise.reject(unavailable('the caller has gone'));
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

/** Both halves of a call that is being passed on. */
class Passage {
  readonly #incoming: ServerHttp2Stream;
  readonly #headers: OutgoingHttpHeaders;
  readonly #route: Route;
  #outgoing: ClientHttp2Stream | undefined;
  #attempts = 0;
  /** Kept while there is another replica to send the request to. */
  #log: RequestLog | undefined;
  #trailers: OutgoingHttpHeaders | undefined;
  /** What must happen before the caller hears of the end. */
  #beforeTrailers: void | Promise<void> = undefined;
  /** All of the answer was read; trailers alone do not say so, they overtake what is still buffered. */
  #isComplete = false;
  #failure: Error | undefined;
  /** What the caller gets goes through it, while an answer can be resumed. */
  #messages: WholeMessages | undefined;
  #isResumable = true;
  /** It was not answered; how it ends is being found out. */
  #isEnding = false;
  /** The last resort has ended it. */
  #isTaken = false;

  constructor(incoming: ServerHttp2Stream, headers: OutgoingHttpHeaders, route: Route) {
    this.#incoming = incoming;
    this.#headers = headers;
    this.#route = route;
  }

  get #replicas(): number {
    return this.#route.upstream.size ?? 1;
  }

  get #isOver(): boolean {
    return this.#isTaken || isOver(this.#incoming);
  }

  /** An answer that the caller has not heard of can be had elsewhere. */
  get #mayHold(): boolean {
    const { retrySafe, lastResort } = this.#route;
    return retrySafe === true && (this.#replicas > 1 || lastResort !== undefined);
  }

  async start(): Promise<void> {
    const incoming = this.#incoming;
    if (this.#route.lastResort) {
      const timer = setTimeout(() => this.#endOtherwise(), LAST_RESORT_AFTER_MS);
      incoming.once('close', () => clearTimeout(timer));
    }
    const outgoing = await this.#open();
    if (!outgoing) return;
    const cancel = () => {
      if (!this.#outgoing?.closed) this.#outgoing?.close(NGHTTP2_CANCEL);
    };
    incoming.on('wantTrailers', this.#onWantTrailers);
    this.#route.onStart?.((error) => this.#stop(error));
    // A caller that resets its stream without an error aborts it; the stream closes only when all was read.
    incoming.on('error', cancel).on('aborted', cancel).on('close', cancel);
    this.#receive(outgoing);
    const { request } = this.#route;
    if (request?.isWhole) {
      outgoing.end(request.bytes);
      return;
    }
    if (request) outgoing.write(request.bytes);
    if (this.#replicas > 1) this.#log = new RequestLog(incoming);
    pipe(incoming, outgoing);
  }

  /** Undefined when the call is over for want of a server, or of a caller. */
  async #open(): Promise<ClientHttp2Stream | undefined> {
    const { upstream, sticky, name } = this.#route;
    const incoming = this.#incoming;
    let outgoing: ClientHttp2Stream;
    this.#attempts++;
    try {
      outgoing = await upstream.open(this.#headers, { sticky });
    } catch (error) {
      const failure = unavailable(`${name}: ${messageOf(error)}`, { cause: error });
      this.#endOtherwise(() => endWithError(incoming, failure));
      return undefined;
    }
    if (!this.#isOver) return outgoing;
    // Nobody is left to tell of a failure.
    outgoing.on('error', () => undefined);
    outgoing.close(NGHTTP2_CANCEL);
    return undefined;
  }

  #receive(outgoing: ClientHttp2Stream): void {
    this.#outgoing = outgoing;
    this.#failure = undefined;
    this.#trailers = undefined;
    this.#isComplete = false;
    outgoing.on('response', (headers, flags) => this.#respond(outgoing, headers, flags));
    outgoing.on('trailers', (trailers) => this.#keepTrailers(trailers));
    outgoing.on('end', () => {
      this.#isComplete = true;
    });
    outgoing.on('error', (error) => {
      this.#failure = error;
    });
    outgoing.on('close', () => this.#outgoingClosed(outgoing));
  }

  #respond(outgoing: ClientHttp2Stream, headers: IncomingHttpHeaders, flags: number): void {
    const incoming = this.#incoming;
    if (this.#isOver) return;
    const isLast = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    if (incoming.headersSent) {
      // The rest is refused, in trailers that came alone.
      if (isLast) this.#keepTrailers(grpcOnly(headers));
      this.#pipe(outgoing);
      return;
    }
    if (isLast) {
      this.#route.takeTrailers?.(headers);
      if (cannotSay(headers) && this.#route.lastResort) {
        this.#endOtherwise(() => this.#begin(outgoing, headers, { endStream: true }));
        return;
      }
    } else if (this.#mayHold) {
      if (this.#route.keepAnswer) collectAnswer(outgoing, headers, this.#route.keepAnswer);
      holdAnswer(outgoing, (held) => this.#release(outgoing, headers, held));
      return;
    }
    if (!this.#begin(outgoing, headers, isLast ? { endStream: true } : { waitForTrailers: true }) || isLast)
      return;
    if (this.#route.keepAnswer) collectAnswer(outgoing, headers, this.#route.keepAnswer);
    pipe(outgoing, incoming);
  }

  #begin(
    outgoing: ClientHttp2Stream,
    headers: IncomingHttpHeaders,
    options: { endStream?: boolean; waitForTrailers?: boolean },
  ): boolean {
    try {
      this.#incoming.respond(headers as OutgoingHttpHeaders, options);
    } catch (error) {
      // An answer that HTTP/2 does not allow, e.g. status 101.
      this.#failure = error as Error;
      outgoing.close(NGHTTP2_CANCEL);
      if (this.#isEnding) endWithError(this.#incoming, this.#cut());
      return false;
    }
    this.#log?.stop();
    return true;
  }

  /** Begins an answer that was held back, with what there is of it. */
  #release(outgoing: ClientHttp2Stream, headers: IncomingHttpHeaders, held: Buffer[]): void {
    // One that ended without trailers was cut: its close decides.
    if (this.#isOver || (this.#isComplete && !this.#trailers)) return;
    const begin = () => {
      if (this.#begin(outgoing, headers, { waitForTrailers: true })) this.#pipe(outgoing, held);
    };
    if (this.#isComplete && this.#trailers && cannotSay(this.#trailers)) this.#endOtherwise(begin);
    else begin();
  }

  /** What is there of the answer, and what comes. */
  #pipe(outgoing: ClientHttp2Stream, held: readonly Buffer[] = []): void {
    const caller = this.#messages ?? this.#openMessages() ?? this.#incoming;
    for (const chunk of held) caller.write(chunk);
    if (this.#isComplete) caller.end();
    else if (caller === this.#incoming) pipe(outgoing, caller);
    else {
      // Its end comes with its trailers: without them there may be a rest.
      pipe(outgoing, caller, { end: false });
      outgoing.on('end', () => {
        if (this.#trailers) caller.end();
      });
    }
  }

  #openMessages(): WholeMessages | undefined {
    const { resume, request } = this.#route;
    if (!resume || request?.isWhole !== true) return undefined;
    const messages = new WholeMessages((message, isCompressed) => {
      this.#attempts = 0;
      if (!isCompressed) return resume.pass(message);
      this.#isResumable = false;
      return message;
    });
    messages.pipe(this.#incoming);
    this.#messages = messages;
    return messages;
  }

  #keepTrailers(trailers: IncomingHttpHeaders): void {
    this.#beforeTrailers = this.#route.takeTrailers?.(trailers);
    this.#trailers = trailers as OutgoingHttpHeaders;
  }

  readonly #onWantTrailers = () => void this.#sendTrailers();

  async #sendTrailers(): Promise<void> {
    if (this.#beforeTrailers) await this.#beforeTrailers;
    if (!isOver(this.#incoming)) this.#incoming.sendTrailers(this.#finalTrailers());
  }

  #outgoingClosed(outgoing: ClientHttp2Stream): void {
    const incoming = this.#incoming;
    if (this.#isOver || this.#isEnding) return;
    if (this.#mayTryAgain(outgoing)) {
      void this.#tryAgain(outgoing);
      return;
    }
    this.#log?.stop();
    if (!incoming.headersSent) this.#endOtherwise(() => endWithError(incoming, this.#cut()));
    else if (this.#messages) this.#messages.end();
    else if (!incoming.writableEnded) incoming.end();
    // The caller's half is of no use any more; without this a caller that never half-closes keeps the stream open.
    incoming.unpipe(outgoing);
    incoming.resume();
  }

  /** As the last resort does; when that cannot, as `fail` does, or not yet. */
  #endOtherwise(fail?: () => void): void {
    const { lastResort } = this.#route;
    const incoming = this.#incoming;
    if (!lastResort) {
      fail?.();
      return;
    }
    if (fail) this.#isEnding = true;
    void lastResort().then((end) => {
      if (this.#isOver || incoming.headersSent) return;
      if (!end) {
        fail?.();
        return;
      }
      this.#isTaken = true;
      incoming.off('wantTrailers', this.#onWantTrailers);
      end();
      this.#outgoing?.close(NGHTTP2_CANCEL);
    });
  }

  /** Elsewhere, when this server has not acted on the call, or nothing changes by acting on it twice. */
  #mayTryAgain(outgoing: ClientHttp2Stream): boolean {
    const { request, retrySafe } = this.#route;
    if (this.#replicas === 1 || this.#attempts > this.#replicas) return false;
    if (this.#incoming.headersSent) {
      return this.#messages !== undefined && this.#isResumable && !(this.#isComplete && this.#trailers);
    }
    const canSendAgain = request?.isWhole === true || this.#log?.chunks !== undefined;
    const wasRefused = outgoing.pending || outgoing.rstCode === NGHTTP2_REFUSED_STREAM;
    return canSendAgain && (wasRefused || retrySafe === true);
  }

  async #tryAgain(failed: ClientHttp2Stream): Promise<void> {
    const incoming = this.#incoming;
    incoming.unpipe(failed);
    if (this.#messages) {
      failed.unpipe(this.#messages);
      await this.#messages.cut();
    }
    const outgoing = await this.#open();
    if (!outgoing) {
      this.#messages?.end();
      return;
    }
    this.#receive(outgoing);
    const { request, resume } = this.#route;
    if (incoming.headersSent && resume) {
      outgoing.end(resume.rest());
      return;
    }
    if (request) outgoing.write(request.bytes);
    for (const chunk of this.#log?.chunks ?? []) outgoing.write(chunk);
    if (request?.isWhole || incoming.readableEnded) outgoing.end();
    else pipe(incoming, outgoing);
  }

  #stop(error: unknown): void {
    const incoming = this.#incoming;
    const outgoing = this.#outgoing;
    if (this.#isOver) return;
    this.#isTaken = true;
    incoming.off('wantTrailers', this.#onWantTrailers);
    if (outgoing) {
      incoming.unpipe(outgoing);
      outgoing.unpipe();
      outgoing.resume();
    }
    this.#messages?.unpipe();
    this.#messages?.resume();
    if (incoming.headersSent) {
      incoming.once('wantTrailers', () => incoming.sendTrailers(statusTrailers(error)));
      if (!incoming.writableEnded) incoming.end();
    } else endWithError(incoming, error);
    incoming.resume();
    outgoing?.close(NGHTTP2_CANCEL);
  }

  #cut(): Error {
    const reason = this.#failure?.message ?? 'the connection was cut';
    return unavailable(`${this.#route.name}: ${reason}`, { cause: this.#failure });
  }

  /** Never those of success for an answer that lacks a part. */
  #finalTrailers(): OutgoingHttpHeaders {
    const isWhole = this.#isComplete && this.#messages?.hasPart !== true;
    return isWhole && this.#trailers ? this.#trailers : statusTrailers(this.#cut());
  }
}

function pipe(from: Readable, to: Writable, options?: { end: boolean }): void {
  from.pipe(to, options);
  from.on('data', countBulk);
}

function countBulk(chunk: Buffer): void {
  passBulk(chunk.length);
}

function grpcOnly(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('grpc-')));
}

/**
 * Gives the answer to `release` when it is whole, or as soon as it is large: a server that dies before has not been heard
 * by the caller, and another one can be asked.
 */
function holdAnswer(outgoing: ClientHttp2Stream, release: (held: Buffer[]) => void): void {
  const held: Buffer[] = [];
  let sizeBytes = 0;
  const done = () => {
    outgoing.off('data', onData).off('end', done);
    release(held);
  };
  const onData = (chunk: Buffer) => {
    held.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_HELD_BYTES) done();
  };
  outgoing.on('data', onData).on('end', done);
}

function collectAnswer(
  outgoing: ClientHttp2Stream,
  headers: IncomingHttpHeaders,
  { maxBytes, keep }: KeepAnswer,
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
