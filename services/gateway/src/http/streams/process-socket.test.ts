import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { Channel, frame } from './channel-protocol.ts';
import { ProcessSocket } from './process-socket.ts';

let server: WebSocketServer;
let client: WebSocket;

beforeEach(async () => {
  server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
});

afterEach(async () => {
  client.terminate();
  await new Promise((resolve) => server.close(resolve));
});

/** Both ends of a connection; the server's as it came. */
async function connect(options: { autoPong?: boolean } = {}): Promise<WebSocket> {
  const { port } = server.address() as AddressInfo;
  client = new WebSocket(`ws://127.0.0.1:${port}`, options);
  const [[accepted]] = await Promise.all([once(server, 'connection'), once(client, 'open')]);
  return accepted;
}

describe('ProcessSocket', () => {
  it('reads no more than its process takes, and loses nothing', async () => {
    const raw = await connect();
    const socket = new ProcessSocket(raw, 'r');
    const pieces = 64;
    const size = 256 * 1024;
    for (let n = 0; n < pieces; n++) client.send(frame(Channel.Stdin, Buffer.alloc(size, n)));
    await expect.poll(() => raw.isPaused, { timeout: 20_000 }).toBe(true);
    const seen: number[] = [];
    for await (const message of socket.messages()) {
      if (message.kind !== 'stdin') break;
      expect(message.data.length).toBe(size);
      if (seen.push(message.data[0]!) === pieces) client.send(Buffer.from([Channel.Close, Channel.Stdin]));
    }
    expect(seen).toEqual(Array.from({ length: pieces }, (_, n) => n));
    client.close();
  });

  it('gives up a client that answers no ping', async () => {
    const raw = await connect({ autoPong: false });
    const socket = new ProcessSocket(raw, 'r', { pingEvery: 5, silence: 20 });
    const closed = once(client, 'close');
    for await (const _ of socket.messages());
    expect((await closed)[0]).toBe(1006);
    expect(socket.gone.aborted).toBe(true);
  });

  it('says what is wrong with a message, though more are on their way', async () => {
    const raw = await connect();
    const socket = new ProcessSocket(raw, 'r');
    const said = once(client, 'message');
    const closed = once(client, 'close');
    client.send('text');
    for (let n = 0; n < 16; n++) client.send(frame(Channel.Stdin, Buffer.alloc(256 * 1024)));
    const failing = Array.fromAsync(socket.messages()).catch((error) => socket.fail(error));
    const [message] = await said;
    expect(message[0]).toBe(Channel.Status);
    expect(JSON.parse(message.subarray(1).toString())).toMatchObject({
      type: 'problem',
      problem: { status: 400, kind: 'InvalidArgument', request_id: 'r' },
    });
    expect((await closed)[0]).toBe(1008);
    await failing;
  });
});
