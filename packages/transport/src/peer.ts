import type { X509Certificate } from 'node:crypto';
import { invalidArgument } from '@longshore/errors';
import { parseIdentifier } from '@longshore/oci';

const URI_PREFIX = 'spiffe://longshore/';

/** Who is at the other end of a connection. */
export type Peer =
  /** On a unix socket: guarded by its mode, trusted as root is. */
  | { kind: 'local' }
  | { kind: 'service'; name: string }
  | { kind: 'node'; id: string }
  | { kind: 'user'; name: string }
  /** Showed no certificate, where none is asked for. */
  | { kind: 'anonymous' };

/** A peer that a certificate can name. */
export type NamedPeer = Extract<Peer, { name: string } | { id: string }>;

export const LOCAL: Peer = { kind: 'local' };
export const ANONYMOUS: Peer = { kind: 'anonymous' };

/** e.g. `service/content`, `node/n1`, `user/alice`, `local`. */
export function formatPeer(peer: Peer): string {
  if ('id' in peer) return `${peer.kind}/${peer.id}`;
  return 'name' in peer ? `${peer.kind}/${peer.name}` : peer.kind;
}

/** The inverse of {@link formatPeer}; throws InvalidArgument for what no certificate can name. */
export function parsePeer(text: string): NamedPeer {
  const [kind, name = ''] = text.split('/', 2);
  const isWhole = text === `${kind}/${name}`;
  if (isWhole && kind === 'node') return { kind, id: parseIdentifier(name, 'node') };
  if (isWhole && (kind === 'service' || kind === 'user')) return { kind, name: parseIdentifier(name, kind) };
  throw invalidArgument(`identity ${JSON.stringify(text)}: want service/<name>, node/<id> or user/<name>`);
}

/** The URI name of a peer's certificate, e.g. `spiffe://longshore/node/n1`. */
export function peerUri(peer: NamedPeer): string {
  return URI_PREFIX + formatPeer(peer);
}

/** Whom a certificate names; undefined when it names none of ours, or several. Says nothing about its signature. */
export function peerOf({ subjectAltName }: Pick<X509Certificate, 'subjectAltName'>): NamedPeer | undefined {
  // Node puts a name in quotes when it holds a comma or anything else that could pass for two.
  const uris = (subjectAltName ?? '').split(', ').filter((name) => name.startsWith(`URI:${URI_PREFIX}`));
  if (uris.length !== 1) return undefined;
  try {
    return parsePeer(uris[0]!.slice(`URI:${URI_PREFIX}`.length));
  } catch {
    // A name that nobody of ours would be given is nobody's.
    return undefined;
  }
}

/** A certificate's serial number as revocations list it: lower-case hexadecimal without leading zeros. */
export function serialOf({ serialNumber }: Pick<X509Certificate, 'serialNumber'>): string {
  return serialNumber.toLowerCase().replace(/^0+(?=.)/, '');
}
