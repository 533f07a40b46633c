import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { NO_TLS, silent } from '../testing/grpc.ts';
import { scratchDirectory } from '../testing/scratch.ts';
import { type OnCall, RawListener } from './raw-listener.ts';
import { passOn } from './route.ts';
import { Upstream } from './upstream.ts';

const BYTES = 8 * 1024 * 1024;
const PIECE = Buffer.alloc(256 * 1024);

async function listen(onCall: OnCall): Promise<string> {
  const listener = new RawListener(onCall, silent);
  onTestFinished(() => listener.close(0));
  return listener.listen(`unix://${scratchDirectory()}/s.sock`, NO_TLS);
}

function upstreamTo(address: string): Upstream {
  const upstream = new Upstream(address);
  onTestFinished(() => upstream.close());
  return upstream;
}

/** Writes all, as fast as it may, and reads what comes at the same time; answers how much that was. */
async function sendAndReceive(stream: Duplex, endsFirst: boolean): Promise<number> {
  let received = 0;
  stream.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  const ended = once(stream, 'end');
  for (let sent = 0; sent < BYTES; sent += PIECE.length) {
    if (!stream.write(PIECE)) await once(stream, 'drain');
  }
  // The end of an answer is that of its call.
  if (endsFirst) stream.end();
  await ended;
  stream.end();
  return received;
}

describe('a call with bulk both ways', () => {
  it('passes a route whole, though each side sends more than the connections hold before the other reads', async () => {
    const atServer = Promise.withResolvers<number>();
    const server = await listen((stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      atServer.resolve(sendAndReceive(stream, false));
    });
    const route = { name: 'service "test"', upstream: upstreamTo(server), headers: {} };
    const door = await listen((stream, headers) => void passOn(stream, headers, route));
    const call = await upstreamTo(door).open({ ':method': 'POST', ':path': '/a.B/C', te: 'trailers' });
    expect(await sendAndReceive(call, true)).toBe(BYTES);
    expect(await atServer.promise).toBe(BYTES);
  });
});
