import { once } from 'node:events';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import { create, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { Streaming } from '@longshore/proto/containerd/services/streaming/v1/streaming';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createClient } from './create-client.ts';
import { openChannel, socketPath } from './testing/grpc-server.ts';

const WINDOW_BYTES = 16 * 1024 * 1024;
const MESSAGES = 8;
const MESSAGE = create(AnySchema, { value: Buffer.alloc(1024 * 1024) });

/** The message as it goes over the wire. */
function framed(): Buffer {
  const message = toBinary(AnySchema, MESSAGE);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Sends messages as fast as it may, and reads what comes at the same time; answers how many bytes that were. */
async function sendAndReceive(stream: ServerHttp2Stream): Promise<number> {
  let received = 0;
  stream.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  const ended = once(stream, 'end');
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  for (let n = 0; n < MESSAGES; n++) {
    if (!stream.write(framed())) await once(stream, 'drain');
  }
  // Its status would end the call.
  await ended;
  stream.end();
  return received;
}

/** A server on Node's own HTTP/2, with windows as longshore's servers have them. */
async function startServer(onStream: (stream: ServerHttp2Stream) => void): Promise<string> {
  const server = createServer({ settings: { initialWindowSize: WINDOW_BYTES }, maxSessionMemory: 64 });
  server.on('session', (session) => session.setLocalWindowSize(WINDOW_BYTES));
  server.on('stream', onStream);
  const path = socketPath();
  server.listen(path);
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return `unix://${path}`;
}

describe('a stream with bulk both ways', () => {
  it('ends, though each side sends more than the connection holds before the other reads', async () => {
    const atServer = Promise.withResolvers<number>();
    const address = await startServer((stream) => atServer.resolve(sendAndReceive(stream)));
    const requests = async function* () {
      for (let n = 0; n < MESSAGES; n++) yield MESSAGE;
    };
    let received = 0;
    for await (const { value } of createClient(Streaming, openChannel(address)).stream(requests())) {
      received += value.length;
    }
    expect(received).toBe(MESSAGES * MESSAGE.value.length);
    expect(await atServer.promise).toBe(MESSAGES * framed().length);
  });
});
