import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { relay } from './relay.ts';

const closing: { close(): void }[] = [];
afterEach(() => {
  for (const each of closing.splice(0)) each.close();
});

/** Says back, once it has heard all, how much that was; behind a relay with this delay. */
async function counterBehind(delayMs: () => number): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, async (socket) => {
    socket.end(String((await buffer(socket)).length));
  }).listen(0, '127.0.0.1');
  closing.push(server);
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const door = await relay({ listen: '127.0.0.1:0', connect: `127.0.0.1:${port}` }, delayMs);
  closing.push(door);
  return Number(door.address.split(':')[1]);
}

async function ask(port: number, bytes: Buffer): Promise<{ answer: string; tookMs: number }> {
  const startMs = performance.now();
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.end(bytes);
  const answer = String(await buffer(socket));
  return { answer, tookMs: performance.now() - startMs };
}

describe('relay', () => {
  it('passes everything on, ends included, more than it holds at a time', async () => {
    const bytes = Buffer.alloc(40 * 1024 * 1024, 7);
    for (const delayMs of [0, 3]) {
      const port = await counterBehind(() => delayMs);
      expect((await ask(port, bytes)).answer).toBe(String(bytes.length));
    }
  });

  it('takes its delay each way, from when it is set', async () => {
    let delayMs = 0;
    const port = await counterBehind(() => delayMs);
    const without = await ask(port, Buffer.from('x'));
    delayMs = 100;
    const { answer, tookMs } = await ask(port, Buffer.from('x'));
    expect(answer).toBe('1');
    expect(tookMs).toBeGreaterThanOrEqual(198);
    expect(tookMs - without.tookMs).toBeGreaterThan(0);
  });

  it('breaks a connection whose other end is not there', async () => {
    const door = await relay({ listen: '127.0.0.1:0', connect: '127.0.0.1:1' });
    closing.push(door);
    const socket = connect(Number(door.address.split(':')[1]), '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'close');
    expect(socket.bytesRead).toBe(0);
  });
});
