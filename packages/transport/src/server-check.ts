import { X509Certificate } from 'node:crypto';
import type { PeerCertificate } from 'node:tls';
import { LongshoreError } from '@longshore/errors';
import { formatPeer, peerOf, serialOf } from './peer.ts';
import type { Revocations } from './revocations.ts';

/** No part has a host name: this one, sent as the server's, belongs to all. */
export const SERVER_NAME = 'longshore';

export interface Expected {
  /** Whom the server's certificate must name, e.g. `service/content`; any service or node when not given. */
  expect?: string | undefined;
  revocations?: Revocations | undefined;
}

/** For `tls.connect`: takes a server by the URI in its certificate instead of a host name. */
export function checkServer({ expect, revocations }: Expected) {
  return (_host: string, certificate: Pick<PeerCertificate, 'raw'>): Error | undefined => {
    const shown = new X509Certificate(certificate.raw);
    const peer = peerOf(shown);
    // A user's certificate must not pass for a part of the fleet.
    if (!peer || peer.kind === 'user') return refusal("the server's certificate names no service or node");
    if (expect !== undefined && formatPeer(peer) !== expect)
      return refusal(`the server's certificate is for ${formatPeer(peer)}, not for ${expect}`);
    if (revocations?.has(serialOf(shown))) return refusal("the server's certificate is revoked");
    return undefined;
  };
}

function refusal(message: string): Error {
  return new LongshoreError('Unauthenticated', message);
}
