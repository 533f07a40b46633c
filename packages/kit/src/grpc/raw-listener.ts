import { readFileSync } from 'node:fs';
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type Address, bindPrivately, claimSocketPath, parseAddress } from '../address.ts';
import type { Logger } from '../logger.ts';
import { requireTls, type TlsFiles } from './credentials.ts';
import { MAX_HEADER_LIST_BYTES, SESSION_WINDOW_BYTES, STREAM_RESETS, STREAM_WINDOW_BYTES } from './limits.ts';

/** Takes one call; what it does not answer stays open until its caller gives up. */
export type OnCall = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/** Listens for gRPC calls as raw HTTP/2 streams, for those who pass them on without decoding. */
export class RawListener {
  readonly #onCall: OnCall;
  readonly #log: Logger;
  readonly #servers: (Http2Server | Http2SecureServer)[] = [];
  readonly #sessions = new Set<ServerHttp2Session>();

  constructor(onCall: OnCall, log: Logger) {
    this.#onCall = onCall;
    this.#log = log;
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
    return address.kind === 'unix' ? listen : `${address.host}:${(server.address() as AddressInfo).port}`;
  }

  /** Takes no new calls, lets those in flight end, and cuts what is left after `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    for (const session of this.#sessions) session.close();
    const cut = setTimeout(() => {
      for (const session of this.#sessions) session.destroy();
    }, timeoutMs);
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
    clearTimeout(cut);
  }

  #serve(address: Address, tls: TlsFiles): Http2Server | Http2SecureServer {
    const options = {
      settings: { initialWindowSize: STREAM_WINDOW_BYTES, maxHeaderListSize: MAX_HEADER_LIST_BYTES },
      maxSessionMemory: 64,
      ...STREAM_RESETS,
    };
    const server =
      address.kind === 'unix'
        ? createServer(options)
        : createSecureServer({ ...options, ...mutualTls(address.host, tls) });
    server.on('session', (session) => this.#keep(session));
    server.on('stream', (stream, headers) => {
      // A broken stream has ended for both sides by the time that this is heard; nobody is left to tell.
      stream.on('error', (error) => this.#log.debug({ err: error }, 'call broke'));
      this.#onCall(stream, headers);
    });
    server.on('sessionError', (error) => this.#log.debug({ err: error }, 'connection broke'));
    return server;
  }

  #keep(session: ServerHttp2Session): void {
    session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    this.#sessions.add(session);
    session.once('close', () => this.#sessions.delete(session));
  }
}

function mutualTls(host: string, tls: TlsFiles) {
  const { tlsCert, tlsKey, tlsCa } = requireTls(host, tls);
  return {
    cert: readFileSync(tlsCert),
    key: readFileSync(tlsKey),
    ca: readFileSync(tlsCa),
    requestCert: true,
    rejectUnauthorized: true,
    allowHTTP1: false,
  };
}
