import { createServer, type ServerHttp2Stream } from 'node:http2';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { NO_TLS, silent } from '../testing/grpc.ts';
import { openRaw } from '../testing/raw-caller.ts';
import { scratchDirectory } from '../testing/scratch.ts';
import { RawListener } from './raw-listener.ts';
import { passOn } from './route.ts';
import { Upstream } from './upstream.ts';

const MESSAGE_BYTES = 10 * 1024;
/** Together far more than is held back in case that a replica dies before anybody has heard it. */
const MESSAGES = 64;
const METHOD = '/a.B/Read';
const ANSWER = { ':status': 200, 'content-type': 'application/grpc' };

function framed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

const message = (n: number) => Buffer.alloc(MESSAGE_BYTES, n);

interface Cut {
  /** In the middle of this message, once. */
  message: number;
  /** When the caller has heard the beginning. */
  when: Promise<unknown>;
}

/** A server of messages from the one that is asked for to the last. */
async function startReplica(cut: Cut): Promise<string> {
  const path = join(scratchDirectory(), 'replica.sock');
  const server = createServer().on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    if (headers[':path'] === METHOD) void answer(stream, cut);
    else stream.respond({ ...ANSWER, 'grpc-status': '12' }, { endStream: true });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => void server.close());
  return `unix://${path}`;
}

async function answer(stream: ServerHttp2Stream, cut: Cut): Promise<void> {
  const first = Buffer.concat(await stream.toArray())[5] ?? 0;
  if (first > MESSAGES) {
    stream.respond({ ...ANSWER, 'grpc-status': '11', 'grpc-message': 'too far' }, { endStream: true });
    return;
  }
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.respond(ANSWER, { waitForTrailers: true });
  for (let n = first; n <= MESSAGES; n++) {
    const bytes = framed(message(n));
    if (n !== cut.message) {
      stream.write(bytes);
      continue;
    }
    cut.message = 0;
    stream.write(bytes.subarray(0, 1000));
    await cut.when;
    stream.session?.destroy();
    return;
  }
  stream.end();
}

/** What a slow caller gets of a door to two that are cut, which then asks for what `rest` says. */
async function readThrough(cuts: number[], rest: (passed: number) => number) {
  const heard = Promise.withResolvers<unknown>();
  const replicas = await Promise.all(cuts.map((message) => startReplica({ message, when: heard.promise })));
  const upstream = new Upstream(replicas.join(','));
  let passed = 0;
  const resume = {
    pass(one: Uint8Array) {
      passed++;
      return one;
    },
    rest: () => framed(Buffer.from([rest(passed)])),
  };
  const request = { bytes: framed(Buffer.from([1])), isWhole: true };
  const route = { name: 'service "test"', upstream, headers: {}, retrySafe: true, request, resume };
  const listener = new RawListener((stream, headers) => void passOn(stream, headers, route), silent);
  const door = await listener.listen(`unix://${join(scratchDirectory(), 'door.sock')}`, NO_TLS);
  onTestFinished(async () => {
    await listener.close(0);
    await upstream.close();
  });
  const call = openRaw(door, METHOD, new Uint8Array());
  let status: unknown;
  call.on('trailers', (trailers) => {
    status = trailers['grpc-status'];
  });
  call.once('response', heard.resolve);
  await heard.promise;
  const messages: number[] = [];
  const body = Buffer.concat(await call.toArray());
  for (let at = 0; at < body.length; at += 5 + MESSAGE_BYTES) {
    const isWhole = body.subarray(at, at + 5 + MESSAGE_BYTES).equals(framed(message(body[at + 5] ?? 0)));
    messages.push(isWhole ? body[at + 5]! : Number.NaN);
  }
  return { messages, status };
}

const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

describe('passOn of an answer that can be resumed', () => {
  it('goes on elsewhere, at the message that was cut, as often as it takes', async () => {
    const { messages, status } = await readThrough([30, 50], (passed) => passed + 1);
    expect(messages).toEqual(upTo(MESSAGES));
    expect(status).toBe('0');
  });

  it('ends with what the other one says when that refuses', async () => {
    const { messages, status } = await readThrough([30, 30], () => MESSAGES + 1);
    expect(messages).toEqual(upTo(messages.length));
    expect(status).toBe('11');
  });
});
