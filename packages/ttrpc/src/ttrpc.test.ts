import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type ErrorKind, notFound } from '@longshore/errors';
import { RequestSchema, type Response, ResponseSchema } from '@longshore/proto/ttrpc/request';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTtrpcClient, type TtrpcClient } from './client.ts';
import { dialTtrpc, type TtrpcConnection } from './client-connection.ts';
import { Echo, type EchoService } from './echo-service.testing.ts';
import { encodeFrame, type Frame, FrameReader, MAX_DATA_BYTES, MessageType } from './frame.ts';
import { createTtrpcServer, type TtrpcServer } from './server.ts';
import type { ServiceImpl } from './service.ts';

let directory: string;
let path: string;
let server: TtrpcServer;
let connection: TtrpcConnection;
let echo: TtrpcClient<EchoService>;
let handlerSignal: AbortSignal | undefined;

const implementation: ServiceImpl<EchoService> = {
  unary: async ({ value }, { metadata, signal }) => {
    handlerSignal = signal;
    if (value === 'metadata') return { value: JSON.stringify([...metadata]) };
    if (value === 'missing') throw notFound('task "x"');
    if (value === 'boom') throw new Error('boom');
    if (value === 'big') return { value: 'x'.repeat(MAX_DATA_BYTES) };
    if (value === 'hang') await once(signal, 'abort');
    return { value };
  },
  fanOut: async function* ({ value }) {
    for (let i = 0; i < Number(value); i++) yield { value: String(i) };
    if (value === '3') throw notFound('fourth');
  },
  collect: async (requests) => {
    const values: string[] = [];
    for await (const { value } of requests) values.push(value);
    return { value: values.join('+') };
  },
  chat: async function* (requests) {
    for await (const { value } of requests) yield { value: `re: ${value}` };
  },
};

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ttrpc-'));
  path = join(directory, 'echo.ttrpc');
  server = createTtrpcServer().add(Echo, implementation);
  await server.listen(path);
  connection = await dialTtrpc(path);
  echo = createTtrpcClient(Echo, connection);
  handlerSignal = undefined;
});

afterEach(async () => {
  await connection.close();
  await server.close();
  await rm(directory, { recursive: true });
});

async function collect<T>(messages: AsyncIterable<{ value: T }>): Promise<T[]> {
  return (await Array.fromAsync(messages)).map(({ value }) => value);
}

function failure(kind: ErrorKind, message: string | RegExp) {
  return expect.objectContaining({ kind, message: expect.stringMatching(message) });
}

async function* values(...all: string[]) {
  for (const value of all) yield { value };
}

describe('unary calls', () => {
  it('answer, many at once on one connection', async () => {
    const sent = Array.from({ length: 100 }, (_, i) => `message ${i}`);
    const answers = await Promise.all(sent.map((value) => echo.unary({ value })));
    expect(answers.map(({ value }) => value)).toEqual(sent);
  });

  it('carry metadata with lower-cased keys and repeated values', async () => {
    const metadata = { 'Containerd-Namespace-TTRPC': 'default', tag: ['a', 'b'], absent: undefined };
    const { value } = await echo.unary({ value: 'metadata' }, { metadata });
    expect(JSON.parse(value)).toEqual([
      ['containerd-namespace-ttrpc', ['default']],
      ['tag', ['a', 'b']],
    ]);
  });

  it("fail with the kind and the words of the server's error", async () => {
    await expect(echo.unary({ value: 'missing' })).rejects.toEqual(
      failure('NotFound', /^task "x": not found$/),
    );
    await expect(echo.unary({ value: 'boom' })).rejects.toEqual(failure('Unknown', /^boom$/));
  });

  it('fail with Unimplemented for an unknown method or service', async () => {
    await expect(echo.missing({})).rejects.toEqual(failure('Unimplemented', /Missing/));
    const other = createTtrpcClient(Echo, connection, { serviceName: 'test.Other' });
    await expect(other.unary({})).rejects.toEqual(failure('Unimplemented', /test\.Other/));
  });

  it('tell the server their deadline and fail with DeadlineExceeded when it has passed', async () => {
    await expect(echo.unary({ value: 'hang' }, { timeoutMs: 20 })).rejects.toEqual(
      failure('DeadlineExceeded', /deadline exceeded/),
    );
    await expect.poll(() => handlerSignal?.aborted).toBe(true);
    expect(handlerSignal?.reason.name).toBe('TimeoutError');
  });

  it('have no deadline when it is further away than a timer can wait', async () => {
    expect((await echo.unary({ value: 'hello' }, { timeoutMs: 1e10 })).value).toBe('hello');
    expect((await echo.unary({ value: 'hello' }, { timeoutMs: 1e14 })).value).toBe('hello');
  });

  it('fail with Canceled when the caller aborts, before or during the call', async () => {
    await expect(echo.unary({}, { signal: AbortSignal.abort() })).rejects.toEqual(
      failure('Canceled', /canceled/),
    );
    const caller = new AbortController();
    const call = echo.unary({ value: 'hang' }, { signal: caller.signal });
    caller.abort();
    await expect(call).rejects.toEqual(failure('Canceled', /canceled/));
    expect((await echo.unary({ value: 'still here' })).value).toBe('still here');
  });

  it('refuse a message over 4 MiB on either side and leave the connection usable', async () => {
    const big = 'x'.repeat(MAX_DATA_BYTES);
    await expect(echo.unary({ value: big })).rejects.toEqual(failure('ResourceExhausted', /4194304/));
    await expect(echo.unary({ value: 'big' })).rejects.toEqual(failure('ResourceExhausted', /4194304/));
    expect((await echo.unary({ value: 'x'.repeat(MAX_DATA_BYTES - 100) })).value).toHaveLength(
      MAX_DATA_BYTES - 100,
    );
  });
});

describe('streams', () => {
  it('of responses arrive in order and end', async () => {
    const all = await collect(echo.fanOut({ value: '500' }));
    expect(all).toEqual(Array.from({ length: 500 }, (_, i) => String(i)));
  });

  it('of responses end in their error after what came before it', async () => {
    const seen: string[] = [];
    const read = async () => {
      for await (const { value } of echo.fanOut({ value: '3' })) seen.push(value);
    };
    await expect(read()).rejects.toEqual(failure('NotFound', /fourth/));
    expect(seen).toEqual(['0', '1', '2']);
  });

  it('hold the connection up when unread, and let it go when left', async () => {
    const iterator = echo.fanOut({ value: '500' })[Symbol.asyncIterator]();
    await iterator.next();
    const other = echo.unary({ value: 'after' });
    await iterator.return?.();
    expect((await other).value).toBe('after');
  });

  it('of requests are answered once', async () => {
    expect((await echo.collect(values('a', 'b', '', 'c'))).value).toBe('a+b++c');
    expect((await echo.collect(values())).value).toBe('');
  });

  it('both ways answer message by message', async () => {
    expect(await collect(echo.chat(values('a', 'b')))).toEqual(['re: a', 're: b']);
  });

  it('end with Canceled when the caller aborts', async () => {
    const signal = AbortSignal.timeout(20);
    async function* slow() {
      await once(signal, 'abort');
      yield { value: 'too late' };
    }
    await expect(collect(echo.chat(slow(), { signal }))).rejects.toEqual(
      failure('DeadlineExceeded', /deadline/),
    );
  });
});

describe('a lost connection', () => {
  it('fails all pending calls with Unavailable "ttrpc: closed", and calls made after it', async () => {
    const calls = Promise.allSettled([echo.unary({ value: 'hang' }), echo.unary({ value: 'hang' })]);
    await expect.poll(() => handlerSignal).toBeDefined();
    await connection.close();
    const closed = { status: 'rejected', reason: { kind: 'Unavailable', message: 'ttrpc: closed' } };
    expect(await calls).toMatchObject([closed, closed]);
    await expect(echo.unary({})).rejects.toEqual(failure('Unavailable', /^ttrpc: closed$/));
    expect(connection.isClosed).toBe(true);
  });

  it('aborts the handlers that serve it', async () => {
    const call = echo.unary({ value: 'hang' }).catch(() => undefined);
    await expect.poll(() => handlerSignal).toBeDefined();
    await connection.close();
    await call;
    await expect.poll(() => handlerSignal?.aborted).toBe(true);
  });

  it('is reported when dialling fails', async () => {
    await expect(dialTtrpc(join(directory, 'nobody'))).rejects.toEqual(failure('Unavailable', /nobody/));
  });

  it('comes from a peer whose response nobody can read', async () => {
    const bad = createServer((socket) => {
      const data = Buffer.from([0xff]);
      socket.once('data', () =>
        socket.write(encodeFrame({ streamId: 1, type: MessageType.Response, flags: 0, data })),
      );
    });
    await once(bad.listen(join(directory, 'bad')), 'listening');
    await using other = await dialTtrpc(join(directory, 'bad'));
    await expect(createTtrpcClient(Echo, other).unary({})).rejects.toEqual(
      failure('Unavailable', /unreadable/),
    );
    bad.close();
  });
});

describe('TtrpcServer', () => {
  let socket: Socket;
  const answers: [number, Response][] = [];

  beforeEach(async () => {
    answers.length = 0;
    socket = connect({ path });
    await once(socket, 'connect');
    const reader = new FrameReader({
      onFrame: ({ streamId, data }) => answers.push([streamId, fromBinary(ResponseSchema, data)]),
      onOversized: () => expect.unreachable(),
    });
    socket.on('data', (chunk: Buffer) => reader.push(chunk));
  });

  afterEach(() => {
    socket.destroy();
  });

  const send = (frame: Partial<Frame>) =>
    socket.write(
      encodeFrame({ streamId: 1, type: MessageType.Request, flags: 0, data: Buffer.alloc(0), ...frame }),
    );

  const codes = () => answers.map(([streamId, { status }]) => [streamId, status?.code]);

  it('answers InvalidArgument to even, reused and inactive stream ids', async () => {
    send({ streamId: 2 });
    send({ streamId: 5 });
    send({ streamId: 5 });
    send({ streamId: 3 });
    send({ streamId: 7, type: MessageType.Data });
    send({ streamId: 9, data: Buffer.from([0xff]) });
    await expect.poll(codes).toEqual([
      [2, 3],
      [5, 12],
      [5, 3],
      [3, 3],
      [7, 3],
      [9, 3],
    ]);
  });

  it('answers a request whose deadline is years away', async () => {
    const request = { service: 'test.Echo', method: 'Unary', timeoutNano: 2n ** 62n };
    send({ data: toBinary(RequestSchema, create(RequestSchema, request)) });
    await expect.poll(codes).toEqual([[1, undefined]]);
  });

  it('answers ResourceExhausted to a frame over the limit, and ignores unknown types', async () => {
    send({ streamId: 1, data: Buffer.alloc(MAX_DATA_BYTES + 1) });
    send({ streamId: 3, type: 99 });
    send({ streamId: 5 });
    await expect.poll(codes).toEqual([
      [1, 8],
      [5, 12],
    ]);
  });

  it('listens with mode 0600, over a socket that was left behind, but not over a live one', async () => {
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await expect(createTtrpcServer().listen(path)).rejects.toMatchObject({ code: 'EADDRINUSE' });

    const stale = join(directory, 'stale');
    const leave = `require('net').createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, 9))`;
    spawnSync(process.execPath, ['-e', leave]);
    await using second = createTtrpcServer().add(Echo, implementation);
    await second.listen(stale);
    await using other = await dialTtrpc(stale);
    expect((await createTtrpcClient(Echo, other).unary({ value: 'hello' })).value).toBe('hello');
  });

  it('lets a call under way finish when it closes', async () => {
    const call = echo.unary({ value: 'hang' }, { timeoutMs: 100 });
    await expect.poll(() => handlerSignal).toBeDefined();
    await Promise.all([
      server.close(),
      expect(call).rejects.toEqual(failure('DeadlineExceeded', /deadline/)),
    ]);
    await expect(dialTtrpc(path)).rejects.toEqual(failure('Unavailable', /dial/));
  });
});
