import { constants, type Http2SecureServer, type Http2Session, type ServerHttp2Stream } from 'node:http2';
import type { Logger } from '@longshore/kit';
import { StrikeBucket } from './strike-bucket.ts';

const { NGHTTP2_ENHANCE_YOUR_CALM } = constants;

const LOOK_MS = 1_000;
/** From a connection to HTTP/2's first frames. */
const HELLO_MS = 10_000;
/** How often a connection is asked for a sign of life; who has given none by the next time is gone, or reads nothing. */
const PING_EVERY_MS = 30_000;

/** In which an ended connection hears why; what it asks for in it is not looked at. */
const GOAWAY_MS = 500;

/** Why a connection was ended. */
export type CutReason = 'resets' | 'strangers' | 'silent';

export interface ConnectionGuardOptions {
  /** More are turned away before they have said anything. */
  maxConnections: number;
  /** Calls of one connection that may be given up before their answer, or made without being known, in a second; ten times that at once. */
  strikesPerSecond: number;
  log: Logger;
  onCut?: ((reason: CutReason, address: string) => void) | undefined;
}

interface Watched {
  strikes: StrikeBucket;
  /** Of `performance`. */
  nextLookAt: number;
  /** It owes a sign of life. */
  isAsked: boolean;
}

/** Ends connections of the gRPC door that only cost. One that is idle costs a ping now and then. States: open → closed. */
export class ConnectionGuard {
  readonly #options: ConnectionGuardOptions;
  readonly #watched = new Map<Http2Session, Watched>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: ConnectionGuardOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** To be called before the server listens. */
  watch(server: Http2SecureServer): void {
    server.maxConnections = this.#options.maxConnections;
    server.on('session', (session) => this.#add(session));
    server.on('stream', (stream) => {
      stream.once('aborted', () => {
        if (!stream.headersSent) this.#strike(stream, 'resets');
      });
    });
  }

  /** A call on a connection by somebody whom nobody knows. */
  stranger(stream: ServerHttp2Stream): void {
    this.#strike(stream, 'strangers');
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #add(session: Http2Session): void {
    const watched: Watched = {
      strikes: new StrikeBucket(this.#options.strikesPerSecond),
      nextLookAt: performance.now() + HELLO_MS,
      isAsked: true,
    };
    this.#watched.set(session, watched);
    session.once('remoteSettings', () => {
      watched.isAsked = false;
    });
    session.once('close', () => this.#watched.delete(session));
  }

  #strike({ session }: ServerHttp2Stream, reason: CutReason): void {
    const watched = session && this.#watched.get(session);
    if (watched && !watched.strikes.take(performance.now())) this.#cut(session, reason);
  }

  #look(): void {
    const now = performance.now();
    for (const [session, watched] of this.#watched) {
      if (now < watched.nextLookAt) continue;
      if (watched.isAsked) {
        this.#cut(session, 'silent');
        continue;
      }
      watched.nextLookAt = now + PING_EVERY_MS;
      watched.isAsked = true;
      session.ping(() => {
        watched.isAsked = false;
      });
    }
  }

  #cut(session: Http2Session, reason: CutReason): void {
    this.#watched.delete(session);
    const address = session.destroyed ? '' : (session.socket?.remoteAddress ?? '');
    this.#options.onCut?.(reason, address);
    this.#options.log.info({ reason, address }, 'connection ended');
    // What it still sends would have the kernel take GOAWAY back, were the connection closed at once.
    if (!session.destroyed) session.goaway(NGHTTP2_ENHANCE_YOUR_CALM);
    setTimeout(() => session.destroy(), GOAWAY_MS).unref();
  }
}
