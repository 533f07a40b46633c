import { createHash, type X509Certificate } from 'node:crypto';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { LongshoreError, messageOf, unavailable } from '@longshore/errors';
import { parseAddresses } from '@longshore/kit';
import { checkServer, SERVER_NAME } from '@longshore/transport';

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Connects to a service of which nothing is known but the SHA-256 of its certificate authority. A first connection only
 * asks for the authority's certificate; the second, which is answered, trusts that one and no other. Throws
 * Unauthenticated before anything was sent when the server cannot show it, Unavailable when nobody is there.
 */
export async function connectPinned(
  server: string,
  fingerprint: Buffer,
  service: string,
): Promise<TLSSocket> {
  const [address] = parseAddresses(server);
  if (address?.kind !== 'tcp') throw unavailable(`address ${JSON.stringify(server)}: want host:port`);
  const { host, port } = address;
  // What it shows is looked at, and nothing is said to it.
  const asked = await open(server, { host, port, rejectUnauthorized: false });
  const chain = chainOf(asked);
  asked.destroy();
  const authority = chain.find(({ raw }) => createHash('sha256').update(raw).digest().equals(fingerprint));
  if (!authority) {
    throw new LongshoreError(
      'Unauthenticated',
      `server ${JSON.stringify(server)}: is not of the fleet that the token is for; the token was not sent`,
    );
  }
  return open(server, {
    host,
    port,
    ca: authority.toString(),
    checkServerIdentity: checkServer({ expect: `service/${service}` }),
  });
}

/** States: connecting → connected, or failed. */
function open(server: string, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...options,
      servername: SERVER_NAME,
      ALPNProtocols: ['h2'],
      minVersion: 'TLSv1.2',
    });
    const fail = (error: Error) => {
      socket.destroy();
      reject(failureOf(server, error));
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => fail(new Error('does not answer')));
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      socket.off('error', fail);
      socket.setTimeout(0);
      resolve(socket);
    });
  });
}

/** What a network does may pass; what is wrong with a certificate, or speaks no TLS, does not. */
function failureOf(server: string, error: Error): Error {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const isNetwork = !(error instanceof LongshoreError) && /^(E[A-Z]+)?$/.test(code) && code !== 'EPROTO';
  const problem = `server ${JSON.stringify(server)}: ${messageOf(error)}`;
  if (isNetwork) return unavailable(problem, { cause: error });
  return new LongshoreError('Unauthenticated', `${problem}; the token was not sent`, { cause: error });
}

/** The server's certificate and those that it showed above it. A root is its own issuer. */
function chainOf(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (let next = socket.getPeerX509Certificate(); next; next = next.issuerCertificate) {
    if (chain.some(({ fingerprint256 }) => fingerprint256 === next!.fingerprint256)) break;
    chain.push(next);
  }
  return chain;
}
