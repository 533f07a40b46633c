import { failedPrecondition } from '@longshore/errors';

/** Paths of PEM files; empty when not configured. */
export interface TlsFiles {
  /** Certificate chain, its own certificate first. */
  tlsCert: string;
  /** The private key of the certificate. */
  tlsKey: string;
  /** Certificate authorities that peers may show a certificate of. */
  tlsCa: string;
}

export const NO_TLS: TlsFiles = { tlsCert: '', tlsKey: '', tlsCa: '' };

/**
 * A unix socket is guarded by its directory's mode. TCP wants TLS with certificates on both ends: whoever can
 * speak to a service can run containers as root. Throws FailedPrecondition when a path is missing.
 */
export function requireTls(host: string, tls: TlsFiles): TlsFiles {
  if (tls.tlsCert && tls.tlsKey && tls.tlsCa) return tls;
  throw failedPrecondition(
    `address on ${JSON.stringify(host)}: TCP needs TLS; set LONGSHORE_TLS_CERT, LONGSHORE_TLS_KEY and LONGSHORE_TLS_CA`,
  );
}

/**
 * A caller that shows no certificate, because it has a token, still has to know whom it gives the token. Throws
 * FailedPrecondition without authorities, and for half of a certificate and key.
 */
export function requireAuthority(host: string, tls: TlsFiles): TlsFiles {
  if (tls.tlsCa && Boolean(tls.tlsCert) === Boolean(tls.tlsKey)) return tls;
  throw failedPrecondition(
    `address on ${JSON.stringify(host)}: TCP needs TLS; name the file of the certificate authority, and those of certificate and key both or not at all`,
  );
}
