import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { ANONYMOUS, type Peer, peerOf, type Revocations, serialOf } from '@longshore/transport';
import type { FastifyInstance } from 'fastify';
import { unauthenticated } from '../access/unauthenticated.ts';

interface Shown {
  peer: Peer | undefined;
  serial: string;
  expiresAt: number;
}

/** Who shows which certificate over HTTPS, where a certificate is asked for but not required. */
export class ClientCertificates {
  readonly #revocations: Revocations;
  /** Those that have one, by their connection. */
  readonly #shown = new Map<Socket, Shown>();

  constructor(revocations: Revocations) {
    this.#revocations = revocations;
  }

  /** Ends connections whose certificate is revoked, and those with one of another authority; answers a function that ends that. */
  watch(app: FastifyInstance): () => void {
    if (!('setSecureContext' in app.server)) return () => undefined;
    (app.server as HttpsServer).on('secureConnection', (socket) => this.#keep(socket));
    return this.#revocations.onChange(() => {
      for (const [socket, { serial }] of this.#shown) if (this.#revocations.has(serial)) socket.destroy();
    });
  }

  /** Throws Unauthenticated for a certificate that is revoked, has expired or names nobody. */
  peerOn(socket: Socket): Peer {
    const shown = this.#shown.get(socket);
    if (!shown) return ANONYMOUS;
    if (this.#revocations.has(shown.serial)) throw unauthenticated('the certificate is revoked');
    if (Date.now() > shown.expiresAt) throw unauthenticated('the certificate has expired');
    if (!shown.peer) throw unauthenticated('the certificate names no part or user of the fleet');
    return shown.peer;
  }

  #keep(socket: TLSSocket): void {
    const certificate = socket.getPeerX509Certificate();
    if (!certificate) return;
    if (!socket.authorized) {
      socket.destroy();
      return;
    }
    const expiresAt = certificate.validToDate.getTime();
    this.#shown.set(socket, { peer: peerOf(certificate), serial: serialOf(certificate), expiresAt });
    socket.once('close', () => this.#shown.delete(socket));
  }
}
