import { readFileSync } from 'node:fs';
import { ServerCredentials } from '@grpc/grpc-js';
import { failedPrecondition } from '@longshore/errors';
import type { Address } from '../address.ts';

/** Paths of PEM files; empty when not configured. */
export interface TlsFiles {
  tlsCert: string;
  tlsKey: string;
  tlsCa: string;
}

/**
 * A unix socket is guarded by its directory's mode. TCP wants TLS with certificates on both ends: whoever can
 * speak to a service can run containers as root.
 */
export function serverCredentials(address: Address, tls: TlsFiles): ServerCredentials {
  if (address.kind === 'unix') return ServerCredentials.createInsecure();
  const { tlsCert, tlsKey, tlsCa } = requireTls(address.host, tls);
  const pair = { private_key: readFileSync(tlsKey), cert_chain: readFileSync(tlsCert) };
  return ServerCredentials.createSsl(readFileSync(tlsCa), [pair], true);
}

export function requireTls(host: string, tls: TlsFiles): TlsFiles {
  if (tls.tlsCert && tls.tlsKey && tls.tlsCa) return tls;
  throw failedPrecondition(
    `address on ${JSON.stringify(host)}: TCP needs TLS; set LONGSHORE_TLS_CERT, LONGSHORE_TLS_KEY and LONGSHORE_TLS_CA`,
  );
}
