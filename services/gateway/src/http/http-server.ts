import { readFileSync } from 'node:fs';
import type { Server as HttpsServer, ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { failedPrecondition } from '@longshore/errors';
import { splitHostPort, type TlsFiles, TlsIdentity, type Warnings } from '@longshore/transport';
import type { FastifyInstance } from 'fastify';

export type HttpTls = Pick<ServerOptions, 'cert' | 'key' | 'ca' | 'requestCert' | 'rejectUnauthorized'>;

/**
 * The certificate for HTTPS, which every host but this one needs: the token must not cross a network in the clear. With an
 * authority, callers are asked for a certificate of it, and may do without.
 */
export function httpTls(listen: string, { tlsCert, tlsKey, tlsCa }: TlsFiles): HttpTls | undefined {
  const { host } = splitHostPort(listen);
  if (isLoopback(host)) return undefined;
  const callers = tlsCa ? { ca: readFileSync(tlsCa), requestCert: true, rejectUnauthorized: false } : {};
  if (tlsCert && tlsKey) return { cert: readFileSync(tlsCert), key: readFileSync(tlsKey), ...callers };
  throw failedPrecondition(
    `HTTP address ${JSON.stringify(listen)}: other hosts need TLS; set LONGSHORE_TLS_CERT and LONGSHORE_TLS_KEY`,
  );
}

/** Has HTTPS show new certificates as soon as there are any; answers a function that ends it. */
export function keepHttpFresh(app: FastifyInstance, tls: TlsFiles, log: Warnings): () => void {
  if (!('setSecureContext' in app.server) || !tls.tlsCa) return () => undefined;
  const server = app.server as HttpsServer;
  const identity = TlsIdentity.open(tls, log);
  const stop = identity.onChange((pems) => server.setSecureContext(pems));
  return () => {
    stop();
    identity.close();
  };
}

/** Answers the URL under which the app is reached. */
export async function listenHttp(app: FastifyInstance, listen: string): Promise<string> {
  const { host, port } = splitHostPort(listen);
  await app.listen({ host, port });
  const bound = (app.server.address() as AddressInfo).port;
  const scheme = 'setSecureContext' in app.server ? 'https' : 'http';
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${bound}`;
}

/** Lets requests in flight finish, and cuts what is left after `timeoutMs`. */
export async function closeHttp(app: FastifyInstance, timeoutMs: number): Promise<void> {
  const cut = setTimeout(() => app.server.closeAllConnections(), timeoutMs);
  await app.close();
  clearTimeout(cut);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
