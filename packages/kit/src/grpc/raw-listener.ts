import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { LongshoreError } from '@longshore/errors';
import { Header } from '@longshore/proto/headers';
import {
  type Address,
  bindPrivately,
  claimSocketPath,
  formatAddress,
  formatPeer,
  type Peer,
  parseAddress,
  type Revocations,
  type TlsFiles,
} from '@longshore/transport';
import type { Logger } from '../logger.ts';
import { namesCallers } from './access.ts';
import { endWithError } from './end-with-error.ts';
import { MAX_HEADER_LIST_BYTES, SESSION_WINDOW_BYTES, STREAM_RESETS, STREAM_WINDOW_BYTES } from './limits.ts';
import { keepFresh, openIdentity } from './listener-tls.ts';
import { type Callers, ServerSessions } from './server-sessions.ts';

/** Takes one call; what it does not answer stays open until its caller gives up. */
export type OnCall = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: Peer) => void;

export interface RawListenerOptions {
  /** Whose calls are refused, and whose connections are ended. */
  revocations?: Revocations | undefined;
  /** Who may call at all; the callers on this machine and the services of the fleet unless it says otherwise. */
  admits?: ((peer: Peer) => boolean) | undefined;
  /** Over TLS also those without a certificate may connect; their peer is `anonymous`. */
  strangers?: boolean | undefined;
  /** Calls that one connection may have under way. */
  maxStreams?: number | undefined;
  /** Sees the server of each address of TCP before it listens, e.g. to end connections that only cost. */
  onServer?: ((server: Http2SecureServer) => void) | undefined;
  /** Told of calls, and of connections without their headers, that are turned away before anybody else hears of them. */
  onRefused?: ((refusal: ListenerRefusal) => void) | undefined;
}

export interface ListenerRefusal {
  session: Http2Session | undefined;
  headers?: IncomingHttpHeaders;
  error: unknown;
}

/** Node's default is two minutes. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Listens for gRPC calls as raw HTTP/2 streams, for those who pass them on without decoding. */
export class RawListener {
  readonly #onCall: OnCall;
  readonly #log: Logger;
  readonly #admits: (peer: Peer) => boolean;
  readonly #certified: Callers;
  readonly #options: RawListenerOptions;
  readonly #servers: (Http2Server | Http2SecureServer)[] = [];
  readonly #sessions: ServerSessions;

  constructor(onCall: OnCall, log: Logger, options: RawListenerOptions = {}) {
    const { revocations, admits = isPart, strangers = false } = options;
    this.#options = options;
    this.#certified = strangers ? 'either' : 'certified';
    this.#onCall = onCall;
    this.#log = log;
    this.#admits = admits;
    this.#sessions = new ServerSessions(revocations);
  }

  /**
   * Listens, in addition to the addresses before, and answers the address with the port that was taken. Sockets are
   * for their owner only (0600); TCP needs TLS and a certificate of the caller.
   */
  async listen(listen: string, tls: TlsFiles): Promise<string> {
    const address = parseAddress(listen);
    const server = this.#serve(address, tls);
    if (address.kind === 'unix') await claimSocketPath(address.path);
    await bindPrivately(
      () =>
        new Promise<void>((resolve, reject) => {
          server.once('error', reject);
          if (address.kind === 'unix') server.listen(address.path, resolve);
          else server.listen(address.port, address.host, resolve);
        }),
    );
    this.#servers.push(server);
    if (address.kind === 'unix') return listen;
    return formatAddress({ ...address, port: (server.address() as AddressInfo).port });
  }

  /** Sends callers elsewhere, lets calls in flight end, and cuts what is left after `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    const cut = setTimeout(() => this.#sessions.destroy(), timeoutMs);
    this.#sessions.drain();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
    clearTimeout(cut);
    this.#sessions.close();
  }

  #serve(address: Address, tls: TlsFiles): Http2Server | Http2SecureServer {
    const { maxStreams } = this.#options;
    const options = {
      settings: {
        initialWindowSize: STREAM_WINDOW_BYTES,
        maxHeaderListSize: MAX_HEADER_LIST_BYTES,
        ...(maxStreams && { maxConcurrentStreams: maxStreams }),
      },
      maxSessionMemory: 64,
      ...STREAM_RESETS,
    };
    const identity = openIdentity(address, tls, this.#log);
    const server = identity
      ? createSecureServer({
          ...options,
          ...identity.pems,
          requestCert: true,
          // A certificate of another authority ends the connection all the same: see ServerSessions.
          rejectUnauthorized: this.#certified === 'certified',
          allowHTTP1: false,
          handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
        })
      : createServer(options);
    if (identity) {
      keepFresh(server as Http2SecureServer, identity);
      this.#options.onServer?.(server as Http2SecureServer);
    }
    server.on('session', (session) => this.#keep(session, identity !== undefined));
    server.on('stream', (stream, headers) => {
      // A broken stream has ended for both sides by the time that this is heard; nobody is left to tell.
      stream.on('error', (error) => this.#log.debug({ err: error }, 'call broke'));
      // One that is given up before anybody reads of it would not close while its connection lasts.
      stream.once('aborted', () => stream.resume());
      this.#take(stream, headers);
    });
    server.on('sessionError', (error) => this.#log.debug({ err: error }, 'connection broke'));
    return server;
  }

  #take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    let peer: Peer;
    try {
      peer = this.#sessions.peerOn(this.#sessions.idOf(stream.session));
      if (!this.#admits(peer)) throw refusal(peer);
      if (!namesCallers(peer)) delete headers[Header.Caller];
    } catch (error) {
      this.#options.onRefused?.({ session: stream.session, headers, error });
      endWithError(stream, error);
      return;
    }
    this.#onCall(stream, headers, peer);
  }

  #keep(session: ServerHttp2Session, isTls: boolean): void {
    session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    this.#sessions.add(session, isTls ? this.#certified : 'local');
    if (!session.destroyed) return;
    try {
      this.#sessions.peerOn(this.#sessions.idOf(session));
    } catch (error) {
      this.#options.onRefused?.({ session, error });
    }
  }
}

function isPart(peer: Peer): boolean {
  return peer.kind === 'local' || peer.kind === 'service';
}

function refusal(peer: Peer): LongshoreError {
  return new LongshoreError('PermissionDenied', `${formatPeer(peer)} may not call here: permission denied`);
}
