import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, constants, createServer, type ServerHttp2Stream } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { NO_TLS, silent } from '../testing/grpc.ts';
import { scratchDirectory } from '../testing/scratch.ts';
import { RawListener } from './raw-listener.ts';
import { passOn } from './route.ts';
import { Upstream } from './upstream.ts';

const HEADERS = { ':method': 'POST', ':path': '/a.B/Do', 'content-type': 'application/grpc', te: 'trailers' };

/** A door to a server that does as it is told with each stream; answers the door's address. */
async function startDoor(onStream: (stream: ServerHttp2Stream) => void): Promise<string> {
  const directory = scratchDirectory();
  const server = createServer().on('stream', (stream) => {
    stream.on('error', () => undefined);
    onStream(stream);
  });
  await new Promise<void>((resolve) => server.listen(join(directory, 'up.sock'), resolve));
  return startDoorTo(`unix://${join(directory, 'up.sock')}`, () => server.close());
}

async function startDoorTo(address: string, alsoClose: () => void): Promise<string> {
  const upstream = new Upstream(address);
  const route = { name: 'service "test"', upstream, headers: {} };
  const listener = new RawListener((stream, headers) => void passOn(stream, headers, route), silent);
  const door = await listener.listen(`unix://${join(scratchDirectory(), 'door.sock')}`, NO_TLS);
  onTestFinished(async () => {
    await listener.close(0);
    await upstream.close();
    alsoClose();
  });
  return door;
}

function openSession(address: string) {
  const session = connect('http://localhost', {
    createConnection: () => connectSocket(address.slice('unix://'.length)),
  });
  session.on('error', () => undefined);
  onTestFinished(() => session.destroy());
  return session;
}

describe('passOn', () => {
  it('survives a caller that resets without an error while it sends, and cancels upstream', async () => {
    const opened = Promise.withResolvers<ServerHttp2Stream>();
    const door = await startDoor((stream) => opened.resolve(stream));
    const call = openSession(door)
      .request(HEADERS)
      .on('error', () => undefined);
    call.write(Buffer.alloc(8 * 1024 * 1024));
    const upstream = await opened.promise;
    const cancelled = Promise.race([once(upstream, 'close'), once(upstream, 'aborted')]);
    call.close(constants.NGHTTP2_NO_ERROR);
    await cancelled;
    // Another call shows that the door is alive.
    const next = openSession(door)
      .request(HEADERS)
      .on('error', () => undefined);
    await once(next, 'ready');
    expect(next.destroyed).toBe(false);
  });

  it('ends the calls to a server that has stopped with Unavailable', async () => {
    const directory = scratchDirectory();
    const socket = join(directory, 'stopped.sock');
    const script = `require('http2').createServer().on('stream', (s) => s.on('error', () => 0)).listen(${JSON.stringify(socket)}, () => console.log('up'))`;
    const server = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void server.kill('SIGKILL'));
    await once(server.stdout, 'data');
    const door = await startDoorTo(`unix://${socket}`, () => undefined);
    const call = openSession(door).request(HEADERS);
    call.end();
    await new Promise((resolve) => setImmediate(resolve));
    const answered = once(call, 'response');
    server.kill('SIGSTOP');
    const [headers] = await answered;
    expect(headers['grpc-status']).toBe('14');
  }, 40_000);
});
