import { readFileSync } from 'node:fs';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { type Address, parseAddress } from '../address.ts';
import { requireTls, type TlsFiles } from './credentials.ts';
import { MAX_HEADER_LIST_BYTES, SESSION_WINDOW_BYTES, STREAM_WINDOW_BYTES } from './limits.ts';

/** A peer on the network that does not answer at all must not hold its callers for minutes. */
const CONNECT_TIMEOUT_MS = 5_000;

/** A peer that is stopped, or lost without a word, must not hold its callers for ever. */
const PING_EVERY_MS = 10_000;
const PING_TIMEOUT_MS = 5_000;

const NO_TLS: TlsFiles = { tlsCert: '', tlsKey: '', tlsCa: '' };

/**
 * One HTTP/2 session to a gRPC server, for streams that are passed on without decoding. The session is made on
 * first use and again after it broke: a stream fails, the next one gets a new session.
 */
export class Upstream {
  readonly #address: Address;
  readonly #tls: TlsFiles;
  #session: Promise<ClientHttp2Session> | undefined;

  constructor(address: string, tls: TlsFiles = NO_TLS) {
    this.#address = parseAddress(address);
    this.#tls = tls;
  }

  /** Opens a stream; throws the socket's error when the server cannot be reached. */
  async open(headers: OutgoingHttpHeaders): Promise<ClientHttp2Stream> {
    this.#session ??= this.#connect();
    const session = await this.#session;
    return session.request(headers, { endStream: false });
  }

  async close(): Promise<void> {
    const session = await this.#session?.catch(() => undefined);
    this.#session = undefined;
    session?.destroy();
  }

  #connect(): Promise<ClientHttp2Session> {
    const session = this.#dial();
    const made = settled(session);
    const forget = () => {
      if (this.#session === made) this.#session = undefined;
    };
    session.on('close', forget).on('goaway', forget).on('error', forget);
    return made;
  }

  #dial(): ClientHttp2Session {
    const options = {
      settings: {
        initialWindowSize: STREAM_WINDOW_BYTES,
        maxHeaderListSize: MAX_HEADER_LIST_BYTES,
        enablePush: false,
      },
      maxSessionMemory: 64,
    };
    const address = this.#address;
    if (address.kind === 'unix') {
      return connect('http://localhost', { ...options, createConnection: () => connectSocket(address.path) });
    }
    const tls = requireTls(address.host, this.#tls);
    return connect(`https://${address.host}:${address.port}`, {
      ...options,
      cert: readFileSync(tls.tlsCert),
      key: readFileSync(tls.tlsKey),
      ca: readFileSync(tls.tlsCa),
    });
  }
}

/** The session once its server has spoken; rejects when it never does. */
function settled(session: ClientHttp2Session): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const timeout = setTimeout(() => session.destroy(new Error('connect timed out')), CONNECT_TIMEOUT_MS);
    session.once('remoteSettings', () => {
      clearTimeout(timeout);
      session.setLocalWindowSize(SESSION_WINDOW_BYTES);
      watchPulse(session);
      resolve(session);
    });
    session.once('error', reject);
    // A server that hangs up without a word gives no error.
    session.once('close', () => {
      clearTimeout(timeout);
      reject(new Error('the server closed the connection'));
    });
  });
}

/** Ends a session whose server does not answer pings. */
function watchPulse(session: ClientHttp2Session): void {
  const timer = setInterval(() => {
    const silence = setTimeout(
      () => session.destroy(new Error('the server does not answer')),
      PING_TIMEOUT_MS,
    );
    session.ping(() => clearTimeout(silence));
  }, PING_EVERY_MS).unref();
  session.once('close', () => clearInterval(timer));
}
