import { readFileSync } from 'node:fs';
import { connect as connectSecurely } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { create, toBinary } from '@bufbuild/protobuf';
import { ReadContentRequestSchema } from '@longshore/proto/containerd/services/content/v1/content';
import type { TlsFiles } from '@longshore/transport';

const WINDOW_BYTES = 16 * 1024 ** 2;

/** A server, and what to show it; `unix:///path` without, `host:port` with TLS. */
export interface BlobSource {
  address: string;
  tls?: TlsFiles;
  headers: Record<string, string>;
}

/** Reads a blob whole, without looking at it: the server's time, and as little as can be of the reader's. Answers milliseconds. */
export async function timeRead(
  { address, tls, headers }: BlobSource,
  digest: string,
  bytes: number,
): Promise<number> {
  const settings = { initialWindowSize: WINDOW_BYTES };
  const session = tls
    ? connectSecurely(`https://${address}`, {
        settings,
        ca: readFileSync(tls.tlsCa),
        cert: readFileSync(tls.tlsCert),
        key: readFileSync(tls.tlsKey),
        checkServerIdentity: () => undefined,
      })
    : connectSecurely('http://localhost', {
        settings,
        createConnection: () => connectSocket(address.slice('unix://'.length)),
      });
  try {
    return await new Promise<number>((resolve, reject) => {
      session.on('error', reject);
      session.once('connect', () => {
        session.setLocalWindowSize(WINDOW_BYTES);
        const started = performance.now();
        const stream = session.request({
          ':method': 'POST',
          ':path': '/containerd.services.content.v1.Content/Read',
          'content-type': 'application/grpc',
          te: 'trailers',
          ...headers,
        });
        let read = 0;
        stream.on('error', reject);
        stream.on('data', (chunk: Buffer) => {
          read += chunk.length;
        });
        stream.on('end', () => {
          if (read >= bytes) resolve(performance.now() - started);
          else reject(new Error(`${address}: ${read} of ${bytes} bytes came`));
        });
        const message = toBinary(ReadContentRequestSchema, create(ReadContentRequestSchema, { digest }));
        const prefix = Buffer.alloc(5);
        prefix.writeUInt32BE(message.length, 1);
        stream.end(Buffer.concat([prefix, message]));
      });
    });
  } finally {
    session.destroy();
  }
}
