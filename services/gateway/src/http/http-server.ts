import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { failedPrecondition } from '@longshore/errors';
import { splitHostPort, type TlsFiles } from '@longshore/kit';
import type { FastifyInstance } from 'fastify';

/** The certificate for HTTPS, which every host but this one needs: the token must not cross a network in the clear. */
export function httpTls(
  listen: string,
  { tlsCert, tlsKey }: TlsFiles,
): { cert: Buffer; key: Buffer } | undefined {
  const { host } = splitHostPort(listen);
  if (isLoopback(host)) return undefined;
  if (tlsCert && tlsKey) return { cert: readFileSync(tlsCert), key: readFileSync(tlsKey) };
  throw failedPrecondition(
    `HTTP address ${JSON.stringify(listen)}: other hosts need TLS; set LONGSHORE_TLS_CERT and LONGSHORE_TLS_KEY`,
  );
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
