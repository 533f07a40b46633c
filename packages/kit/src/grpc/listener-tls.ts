import type { Http2SecureServer } from 'node:http2';
import { type Address, type Pems, requireTls, type TlsFiles, TlsIdentity } from '@longshore/transport';
import type { Logger } from '../logger.ts';
import type { Callers } from './server-sessions.ts';

export interface ListenOptions {
  /**
   * Asks callers for no certificate: for a server of nothing but what strangers may call. Their calls have the peer
   * `anonymous`.
   */
  anyone?: boolean;
}

export function callersOf(address: Address, { anyone }: ListenOptions): Callers {
  if (address.kind === 'unix') return 'local';
  return anyone ? 'anyone' : 'certified';
}

/** The identity that a listener shows; undefined for a unix socket. Throws FailedPrecondition without TLS files. */
export function openIdentity(address: Address, tls: TlsFiles, log: Logger): TlsIdentity | undefined {
  if (address.kind === 'unix') return undefined;
  return TlsIdentity.open(requireTls(address.host, tls), log);
}

/** Has a listener show new certificates as soon as there are any; connections that are made stay. */
export function keepFresh(server: Http2SecureServer, identity: TlsIdentity): void {
  const stop = identity.onChange((pems: Pems) => server.setSecureContext(pems));
  server.once('close', () => {
    stop();
    identity.close();
  });
}
