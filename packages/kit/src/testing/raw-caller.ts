import { type ClientHttp2Stream, connect, type OutgoingHttpHeaders } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { onTestFinished } from 'vitest';

/** Opens a gRPC call by hand, with HTTP/2's default windows of 64 KiB: nothing is read until the test does. */
export function openRaw(
  address: string,
  path: string,
  message: Uint8Array,
  headers: OutgoingHttpHeaders = {},
): ClientHttp2Stream {
  const session = connect('http://localhost', {
    createConnection: () => connectSocket(address.slice('unix://'.length)),
  });
  session.on('error', () => undefined);
  onTestFinished(() => session.destroy());
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.on('error', () => undefined);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([prefix, message]));
  return stream;
}
