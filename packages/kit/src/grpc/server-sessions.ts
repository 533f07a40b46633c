import { randomUUID } from 'node:crypto';
import type { Http2Session, ServerHttp2Session } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { LongshoreError, unavailable } from '@longshore/errors';
import {
  ANONYMOUS,
  LOCAL,
  type NamedPeer,
  type Peer,
  peerOf,
  type Revocations,
  serialOf,
} from '@longshore/transport';

/** How often connections are looked at whose certificate may have expired. */
const EXPIRY_EVERY_MS = 15_000;

/** Who may connect to a listener. */
export type Callers =
  /** Unix sockets. */
  | 'local'
  /** TLS, with a certificate of the fleet's authority. */
  | 'certified'
  /** TLS; who shows a certificate is known by it, who shows none is a stranger. */
  | 'either'
  /** TLS, and no certificate is asked for. */
  | 'anyone';

interface Shown {
  peer: NamedPeer | undefined;
  serial: string;
  expiresAt: number;
}

interface Connection {
  /** Cannot be guessed. */
  id: string;
  shown: Shown | 'local' | 'anyone';
}

/** The connections of a server, and who is at the other end of each. */
export class ServerSessions {
  readonly #revocations: Revocations | undefined;
  readonly #connections = new Map<Http2Session, Connection>();
  readonly #byId = new Map<string, Connection>();
  readonly #forget: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isDraining = false;

  constructor(revocations: Revocations | undefined) {
    this.#revocations = revocations;
    this.#forget = revocations?.onChange(() => this.#endRevoked());
  }

  /** To be called when a connection is made. */
  add(session: ServerHttp2Session, callers: Callers): void {
    const shown = shownOn(session.socket as TLSSocket, callers);
    const connection = { id: randomUUID(), shown };
    this.#connections.set(session, connection);
    this.#byId.set(connection.id, connection);
    session.once('close', () => {
      this.#connections.delete(session);
      this.#byId.delete(connection.id);
    });
    if (this.#isDraining) session.close();
    if (typeof shown === 'string') return;
    // What `rejectUnauthorized` does for those who must show one.
    if (callers === 'either' && shown.serial === '') session.destroy();
    if (this.#revocations?.has(shown.serial)) session.destroy();
    this.#timer ??= setInterval(() => this.#endExpired(), EXPIRY_EVERY_MS).unref();
  }

  /** Names a connection for {@link peerOn}; no other has had the name. */
  idOf(session: Http2Session | undefined): string {
    return (session && this.#connections.get(session)?.id) ?? randomUUID();
  }

  /**
   * Who makes a call on this connection. Throws Unauthenticated when its certificate names nobody, is revoked or has
   * expired, Unavailable for a connection that is gone.
   */
  peerOn(id: string): Peer {
    const shown = this.#byId.get(id)?.shown;
    if (shown === undefined) throw unavailable('the connection is gone');
    if (shown === 'local') return LOCAL;
    if (shown === 'anyone') return ANONYMOUS;
    if (this.#revocations?.has(shown.serial)) throw unauthenticated('the certificate is revoked');
    if (Date.now() > shown.expiresAt) throw unauthenticated('the certificate has expired');
    if (!shown.peer) throw unauthenticated('the certificate names no part or user of the fleet');
    return shown.peer;
  }

  /** The serial number of the certificate that was shown on this connection; undefined without one. */
  serialOn(id: string): string | undefined {
    const shown = this.#byId.get(id)?.shown;
    return typeof shown === 'object' ? shown.serial : undefined;
  }

  /**
   * Has callers take new calls elsewhere: GOAWAY names the last one that is still answered, and what they had on its way
   * beyond it ends with REFUSED_STREAM at their end, which is safe to send again.
   */
  drain(): void {
    this.#isDraining = true;
    for (const session of this.#connections.keys()) session.close();
  }

  /** Cuts the connections that are left. */
  destroy(): void {
    for (const session of this.#connections.keys()) session.destroy();
  }

  /** Watches revocations and expiry no more. */
  close(): void {
    this.#forget?.();
    clearInterval(this.#timer);
  }

  #endRevoked(): void {
    for (const [session, { shown }] of this.#connections) {
      if (typeof shown !== 'string' && this.#revocations?.has(shown.serial)) session.destroy();
    }
  }

  /** Callers with a new certificate connect again for new calls; what an old one has open ends a round later. */
  #endExpired(): void {
    for (const [session, { shown }] of this.#connections) {
      if (typeof shown === 'string' || Date.now() <= shown.expiresAt) continue;
      if (session.closed) session.destroy();
      else session.close();
    }
  }
}

function shownOn(socket: TLSSocket, callers: Callers): Connection['shown'] {
  if (callers === 'local' || callers === 'anyone') return callers;
  const isStranger = callers === 'either' && !socket.getPeerX509Certificate();
  return isStranger ? 'anyone' : shownBy(socket);
}

function shownBy(socket: TLSSocket): Shown {
  const certificate = socket.getPeerX509Certificate();
  // The handshake lets none of these through.
  if (!certificate || !socket.authorized) return { peer: undefined, serial: '', expiresAt: 0 };
  return {
    peer: peerOf(certificate),
    serial: serialOf(certificate),
    expiresAt: certificate.validToDate.getTime(),
  };
}

function unauthenticated(problem: string): LongshoreError {
  return new LongshoreError('Unauthenticated', `${problem}: unauthenticated`);
}
