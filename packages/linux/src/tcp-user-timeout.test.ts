import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { setTcpUserTimeout } from './tcp-user-timeout.ts';

/** More than the buffers of both ends. */
const LARGE = Buffer.alloc(64 * 1024 * 1024);

it('ends a connection on which nothing gets through', async () => {
  const sockets: Socket[] = [];
  const server = createServer({ pauseOnConnect: true }, (socket) => sockets.push(socket)).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
    setTcpUserTimeout(fd, 300);
    socket.write(LARGE);
    const [error] = await once(socket, 'error').catch((thrown) => [thrown]);
    expect(error).toMatchObject({ code: 'ETIMEDOUT' });
  } finally {
    for (const each of [socket, ...sockets]) each.destroy();
    server.close();
  }
}, 10_000);

it('says so when the descriptor is no socket', () => {
  expect(() => setTcpUserTimeout(0xffff, 1)).toThrow(/EBADF.*setsockopt/);
});
