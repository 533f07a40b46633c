import { readFileSync } from 'node:fs';
import { connect, type OutgoingHttpHeaders } from 'node:http2';
import { LongshoreError } from '@longshore/errors';
import type { TlsFiles } from '@longshore/transport';

export interface BearerCallOptions {
  /** Only the authorities count, unless `certificate`. */
  tls: TlsFiles;
  certificate?: boolean;
  headers?: OutgoingHttpHeaders;
  message?: Uint8Array;
}

/** One unary call over TLS, with or without a certificate: answers gRPC's status and what it says. Throws when cut. */
export async function bearerCall(
  address: string,
  path: string,
  { tls, certificate = false, headers = {}, message = new Uint8Array() }: BearerCallOptions,
): Promise<{ code: number; message: string }> {
  const session = connect(`https://${address}`, {
    ca: readFileSync(tls.tlsCa),
    checkServerIdentity: () => undefined,
    ...(certificate && { cert: readFileSync(tls.tlsCert), key: readFileSync(tls.tlsKey) }),
  });
  try {
    return await new Promise((resolve, reject) => {
      session.on('error', reject);
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      });
      const settle = (found: Record<string, unknown>) => {
        const code = found['grpc-status'];
        if (code === undefined) return;
        resolve({ code: Number(code), message: decodeURI(String(found['grpc-message'] ?? '')) });
      };
      stream.on('error', reject).on('response', settle).on('trailers', settle);
      stream.on('close', () => reject(new LongshoreError('Unavailable', 'the call was cut')));
      stream.resume();
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(message.length, 1);
      stream.end(Buffer.concat([prefix, message]));
    });
  } finally {
    session.destroy();
  }
}
