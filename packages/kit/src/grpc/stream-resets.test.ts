import { once } from 'node:events';
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { Version } from '@longshore/proto/containerd/services/version/v1/version';
import { describe, expect, it, onTestFinished } from 'vitest';
import { NO_TLS, silent, startServer } from '../testing/grpc.ts';
import { scratchDirectory } from '../testing/scratch.ts';
import { RawListener } from './raw-listener.ts';

/** More than Node allows by default (1000), as a Go client cancels while it reads a blob of 200 MB in ranges. */
const CANCELLED = 3000;

const HEADERS = {
  ':method': 'POST',
  ':path': '/containerd.services.version.v1.Version/Version',
  'content-type': 'application/grpc',
  te: 'trailers',
};

async function cancelMany(address: string): Promise<ClientHttp2Session> {
  const session = connect('http://localhost', {
    createConnection: () => connectSocket(address.slice('unix://'.length)),
  });
  session.on('error', () => undefined);
  onTestFinished(() => session.destroy());
  await once(session, 'remoteSettings');
  for (let n = 0; n < CANCELLED; n++) {
    const stream = session.request(HEADERS).on('error', () => undefined);
    stream.close(constants.NGHTTP2_CANCEL);
    await once(stream, 'close');
  }
  return session;
}

describe('a connection whose caller cancels thousands of streams', () => {
  it('is kept by a server', async () => {
    const { address } = await startServer((server) => server.add(Version, { version: async () => ({}) }));
    const session = await cancelMany(address);
    const last = session.request(HEADERS).end(Buffer.alloc(5));
    const [headers] = await once(last, 'response');
    expect(headers[':status']).toBe(200);
    expect(session.closed).toBe(false);
  });

  it('is kept by a raw listener', async () => {
    const listener = new RawListener((stream) => {
      if (!stream.destroyed) stream.respond({ ':status': 200 }, { endStream: true });
    }, silent);
    const address = await listener.listen(`unix://${join(scratchDirectory(), 'raw.sock')}`, NO_TLS);
    onTestFinished(() => listener.close(0));
    const session = await cancelMany(address);
    const [headers] = await once(session.request(HEADERS).end(), 'response');
    expect(headers[':status']).toBe(200);
  });
});
