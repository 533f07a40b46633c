import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import type { ServerHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import { join } from 'node:path';
import { unimplemented } from '@longshore/errors';
import { describe, expect, it, onTestFinished } from 'vitest';
import { NO_TLS, silent } from '../testing/grpc.ts';
import { openRaw } from '../testing/raw-caller.ts';
import { scratchDirectory } from '../testing/scratch.ts';
import { endWithError } from './end-with-error.ts';
import { RawListener } from './raw-listener.ts';

async function start(onCall: (stream: ServerHttp2Stream) => void) {
  const path = join(scratchDirectory(), 'a.sock');
  const listener = new RawListener(onCall, silent);
  await listener.listen(`unix://${path}`, NO_TLS);
  onTestFinished(() => listener.close(0));
  return { listener, path, call: () => openRaw(`unix://${path}`, '/a.B/C', new Uint8Array()) };
}

describe('RawListener', () => {
  it('gives out calls, from a socket for its owner only', async () => {
    const { path, call } = await start((stream) => endWithError(stream, unimplemented('service "a.B"')));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const [headers] = await once(call(), 'response');
    expect(headers).toMatchObject({
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': '12',
      'grpc-message': 'service%20%22a.B%22:%20not%20implemented',
    });
  });

  it('listens on several addresses', async () => {
    const { listener, path } = await start((stream) => endWithError(stream, unimplemented('x')));
    await listener.listen(`unix://${path}2`, NO_TLS);
    for (const address of [path, `${path}2`]) {
      const [headers] = await once(openRaw(`unix://${address}`, '/a.B/C', new Uint8Array()), 'response');
      expect(headers['grpc-status']).toBe('12');
    }
  });

  it('lets a call in flight end when it closes, and takes its socket away', async () => {
    const entered = Promise.withResolvers<ServerHttp2Stream>();
    const { listener, path, call } = await start(entered.resolve);
    const answered = once(call(), 'response');
    const stream = await entered.promise;
    const closed = listener.close(60_000);
    endWithError(stream, unimplemented('x'));
    expect((await answered)[0]['grpc-status']).toBe('12');
    await closed;
    expect(existsSync(path)).toBe(false);
  });

  it('cuts what is left after the timeout', async () => {
    const entered = Promise.withResolvers<ServerHttp2Stream>();
    const { listener, call } = await start(entered.resolve);
    const ended = once(call(), 'close');
    await entered.promise;
    await listener.close(50);
    await ended;
  });

  it('survives a caller that speaks no HTTP/2', async () => {
    const { path, call } = await start((stream) => endWithError(stream, unimplemented('x')));
    const rude = connect(path);
    rude.on('error', () => undefined);
    rude.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    rude.resume();
    await once(rude, 'close');
    expect((await once(call(), 'response'))[0]['grpc-status']).toBe('12');
  });
});
