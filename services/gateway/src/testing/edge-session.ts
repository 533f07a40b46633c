import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type OutgoingHttpHeaders,
} from 'node:http2';
import type { TlsFiles } from '@longshore/transport';

/** A connection to the gRPC door without a certificate, whose end nobody is bothered by. */
export async function openSession(address: string, { tlsCa }: TlsFiles): Promise<ClientHttp2Session> {
  const session = connect(`https://${address}`, {
    ca: readFileSync(tlsCa),
    checkServerIdentity: () => undefined,
  });
  session.on('error', () => undefined);
  await once(session, 'remoteSettings');
  return session;
}

/** Begins a call, and sends nothing but its headers. */
export function beginCall(
  session: ClientHttp2Session,
  path: string,
  headers: OutgoingHttpHeaders = {},
): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  return stream.on('error', () => undefined);
}

/** The status that a call ends with; undefined when it is cut. */
export function statusOf(stream: ClientHttp2Stream): Promise<number | undefined> {
  return new Promise((resolve) => {
    const see = (found: Record<string, unknown>) => {
      if (found['grpc-status'] !== undefined) resolve(Number(found['grpc-status']));
    };
    stream.on('response', see).on('trailers', see);
    stream.on('close', () => resolve(undefined));
    stream.resume();
  });
}
