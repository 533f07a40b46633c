import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http2';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { EmptySchema } from '@bufbuild/protobuf/wkt';
import { notFound } from '@longshore/errors';
import {
  Content,
  ReadContentRequestSchema,
  ReadContentResponseSchema,
  WriteContentRequestSchema,
} from '@longshore/proto/containerd/services/content/v1/content';
import { Version, type VersionResponse } from '@longshore/proto/containerd/services/version/v1/version';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { startCollector } from '../testing/collector.ts';
import { startContentProcess } from '../testing/content-process.ts';
import { ended, NO_TLS, silent, startServer, TestClient } from '../testing/grpc.ts';
import { openRaw } from '../testing/raw-caller.ts';
import { scratchDirectory } from '../testing/scratch.ts';
import { settled } from '../testing/settled.ts';
import { startTracing } from '../tracing.ts';
import type { Call } from './call.ts';
import { RawListener } from './raw-listener.ts';
import { passOn, type Route } from './route.ts';
import { Upstream } from './upstream.ts';

const EMPTY = create(EmptySchema);
const MiB = 1024 * 1024;
const VERSION = { version: '1', revision: 'r' };

/** A door on a unix socket that passes everything on to one server. */
async function startRoute(upstreamAddress: string, options: Partial<Route> = {}): Promise<string> {
  const upstream = new Upstream(upstreamAddress);
  const route = { name: 'service "test"', upstream, headers: {}, ...options };
  const listener = new RawListener((stream, headers) => void passOn(stream, headers, route), silent);
  const address = await listener.listen(`unix://${join(scratchDirectory(), 'door.sock')}`, NO_TLS);
  onTestFinished(async () => {
    await listener.close(0);
    await upstream.close();
  });
  return address;
}

function readRequest(sizeBytes: number) {
  return create(ReadContentRequestSchema, { size: BigInt(sizeBytes) });
}

describe('passOn', () => {
  it("passes a unary call with the caller's headers and deadline, and the route's own", async () => {
    let seen: Call | undefined;
    const { address } = await startServer((server) =>
      server.add(Version, {
        async version(_, call) {
          seen = call;
          return VERSION;
        },
      }),
    );
    const door = await startRoute(address, { headers: { 'longshore-node': 'n1' } });
    const headers = { 'containerd-namespace': 'ns', 'longshore-node': 'forged' };
    const { answer } = await new TestClient(Version, door).unary<VersionResponse>('Version', EMPTY, headers, {
      deadline: Date.now() + 60_000,
    });
    expect(answer).toMatchObject(VERSION);
    expect(seen?.scope).toEqual({ namespace: 'ns', node: 'n1' });
    expect(seen?.deadline?.getTime()).toBeGreaterThan(Date.now() + 30_000);
  });

  describe('traces', () => {
    const TRACE = '0af7651916cd43dd8448eb211c80319c';
    const TRACEPARENT = `00-${TRACE}-b7ad6b7169203331-01`;

    async function traceparentSeen(headers: Record<string, string>): Promise<string | undefined> {
      const seen: Call[] = [];
      const { address } = await startServer((server) =>
        server.add(Version, {
          async version(_, call) {
            seen.push(call);
            return VERSION;
          },
        }),
      );
      await new TestClient(Version, await startRoute(address)).unary('Version', EMPTY, headers);
      expect(seen[0]?.requestId).not.toBe('');
      return seen[0]?.header('traceparent');
    }

    it("stay their caller's, or begin here, while no collector takes spans", async () => {
      const tracing = await startTracing('test', '');
      onTestFinished(() => tracing.close());
      expect(await traceparentSeen({ traceparent: TRACEPARENT })).toBe(TRACEPARENT);
      expect(await traceparentSeen({})).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    });

    it('get a span for the hop when a collector is configured', async () => {
      const collector = await startCollector();
      const tracing = await startTracing('test', collector.url);
      onTestFinished(async () => {
        await tracing.close();
        collector.close();
      });
      expect(await traceparentSeen({ traceparent: TRACEPARENT })).toMatch(
        new RegExp(`^00-${TRACE}-(?!b7ad6b7169203331)[0-9a-f]{16}-01$`),
      );
    });
  });

  it('passes messages of nearly 16 MiB in both directions, and a lock-step conversation, bytes intact', async () => {
    const { address } = await startServer((server) =>
      server.add(Content, {
        async *write(requests) {
          for await (const { data, offset } of requests) {
            yield { offset, digest: createHash('sha256').update(data).digest('hex') };
          }
        },
        async *read() {
          yield { data: big };
        },
      }),
    );
    const big = randomBytes(16 * MiB - 64);
    const client = new TestClient(Content, await startRoute(address));
    const call = client.bidi<{ offset: bigint; digest: string }>('Write');
    const status = ended(call);
    const answers = call[Symbol.asyncIterator]();
    for (const data of [big, Buffer.alloc(0), randomBytes(10)]) {
      call.write(create(WriteContentRequestSchema, { data, offset: 7n }));
      const { value } = await answers.next();
      expect(value).toMatchObject({ offset: 7n, digest: createHash('sha256').update(data).digest('hex') });
    }
    call.end();
    await answers.next();
    expect((await status).code).toBe(0);

    const stream = client.serverStream<{ data: Buffer }>('Read', readRequest(1));
    for await (const { data } of stream) expect(big.equals(data)).toBe(true);
  });

  it('holds no more of a 64 MiB download than its windows while the caller does not read', async () => {
    let produced = 0;
    const sent = createHash('sha256');
    const { address } = await startServer((server) =>
      server.add(Content, {
        async *read() {
          for (produced = 0; produced < 64; produced++) {
            const data = randomBytes(MiB);
            sent.update(data);
            yield { data };
          }
        },
      }),
    );
    const door = await startRoute(address);
    const message = toBinary(ReadContentRequestSchema, readRequest(1));
    const stream = openRaw(door, '/containerd.services.content.v1.Content/Read', message);
    await once(stream, 'response');
    await settled(() => produced);
    expect(produced).toBeLessThan(6);
    const trailers = once(stream, 'trailers');
    const received = createHash('sha256');
    for await (const data of messagesOf(stream)) received.update(data);
    expect((await trailers)[0]).toMatchObject({ 'grpc-status': '0' });
    expect(received.digest('hex')).toBe(sent.digest('hex'));
  });

  it('holds no more of a 64 MiB upload than its windows while the server does not read', async () => {
    const release = Promise.withResolvers<void>();
    const received = createHash('sha256');
    const { address } = await startServer((server) =>
      server.add(Content, {
        async *write(requests) {
          await release.promise;
          for await (const { data } of requests) received.update(data);
          yield {};
        },
      }),
    );
    const call = new TestClient(Content, await startRoute(address)).bidi('Write');
    const status = ended(call);
    call.resume();
    const sent = createHash('sha256');
    let taken = 0;
    const writing = (async () => {
      for (let count = 0; count < 64; count++) {
        const data = randomBytes(MiB);
        sent.update(data);
        await new Promise<void>((resolve) =>
          call.write(create(WriteContentRequestSchema, { data }), () => resolve()),
        );
        taken++;
      }
      call.end();
    })();
    await settled(() => taken);
    // The stream windows of the door and, more, of grpc-js.
    expect(taken).toBeLessThan(24);
    release.resolve();
    await writing;
    expect((await status).code).toBe(0);
    expect(received.digest('hex')).toBe(sent.digest('hex'));
  });

  it('lets trailers be taken out, of an answer and of an error without answer', async () => {
    const { address } = await startServer((server) =>
      server.add(Version, {
        async version(_, call) {
          call.trailers.set('keep', '1');
          call.reportEvent({ namespace: 'ns', topic: '/a', typeUrl: 't', payload: new Uint8Array() });
          if (call.header('fail')) throw notFound('image "ü\n"');
          return VERSION;
        },
      }),
    );
    const taken: string[] = [];
    const takeTrailers = (trailers: IncomingHttpHeaders) => {
      taken.push(String(trailers['longshore-event-bin']));
      delete trailers['longshore-event-bin'];
    };
    const client = new TestClient(Version, await startRoute(address, { takeTrailers }));
    const { trailers } = await client.unary('Version', EMPTY);
    expect(trailers.getMap()).toMatchObject({ keep: '1' });
    expect(trailers.get('longshore-event-bin')).toEqual([]);
    const failed = await client.unary('Version', EMPTY, { fail: '1' }).catch((error) => error);
    expect(failed).toMatchObject({ code: 5, message: 'image "ü\n": not found' });
    expect(failed.trailers.get('keep')).toEqual(['1']);
    expect(failed.trailers.get('longshore-event-bin')).toEqual([]);
    expect(taken).toHaveLength(2);
    expect(taken.every((value) => value.length > 4)).toBe(true);
  });

  it('ends a stream that fails on its way with the status of the server', async () => {
    const { address } = await startServer((server) =>
      server.add(Content, {
        async *read() {
          yield {};
          throw notFound('content "x"');
        },
      }),
    );
    const stream = new TestClient(Content, await startRoute(address)).serverStream('Read', readRequest(1));
    stream.resume();
    expect(await ended(stream)).toMatchObject({ code: 5, message: 'content "x": not found' });
  });

  it("cancels the server's call when the caller cancels", async () => {
    const entered = Promise.withResolvers<Call>();
    const { address } = await startServer((server) =>
      server.add(Content, {
        async *read(_, call) {
          entered.resolve(call);
          yield {};
          await new Promise((wake) => call.signal.addEventListener('abort', wake));
        },
      }),
    );
    const stream = new TestClient(Content, await startRoute(address)).serverStream('Read', readRequest(1));
    const status = ended(stream);
    stream.once('data', () => stream.cancel());
    expect((await status).code).toBe(1);
    const call = await entered.promise;
    await vi.waitFor(() => expect(call.signal.aborted).toBe(true));
  });
});

describe('passOn to a server that is away', () => {
  it('answers Unavailable with the name of the server, and connects once it is there', async () => {
    const address = `unix://${join(scratchDirectory(), 'c.sock')}`;
    const client = new TestClient(Content, await startRoute(address));
    const call = () => {
      const stream = client.serverStream('Read', readRequest(1));
      stream.resume();
      return ended(stream);
    };
    expect(await call()).toMatchObject({
      code: 14,
      message: expect.stringMatching(/^service "test": connect ENOENT .*: unavailable$/),
    });
    const first = await startContentProcess(address);
    expect((await call()).code).toBe(0);
    await first.kill();
    expect((await call()).code).toBe(14);
    await startContentProcess(address);
    expect((await call()).code).toBe(0);
  });

  it('answers Unavailable when the server hangs up without a word', async () => {
    const path = join(scratchDirectory(), 'c.sock');
    const rude = createServer((socket) => socket.end()).listen(path);
    onTestFinished(() => void rude.close());
    const client = new TestClient(Version, await startRoute(`unix://${path}`));
    await expect(client.unary('Version', EMPTY, {}, { deadline: Date.now() + 4000 })).rejects.toMatchObject({
      code: 14,
    });
  });

  it('ends a stream with Unavailable when the server is killed on its way', async () => {
    const { address, kill } = await startContentProcess();
    const stream = new TestClient(Content, await startRoute(address)).serverStream(
      'Read',
      readRequest(2 ** 40),
    );
    const status = ended(stream);
    stream.once('data', () => void kill());
    stream.resume();
    expect(await status).toMatchObject({ code: 14, message: expect.stringContaining('service "test"') });
  });

  it('never passes a part of an answer as the whole when the server dies after it has sent all', async () => {
    const { address, kill } = await startContentProcess();
    const sizeBytes = 512 * 1024;
    const message = toBinary(ReadContentRequestSchema, readRequest(sizeBytes));
    const overtaken = Promise.withResolvers<void>();
    const door = await startRoute(address, { takeTrailers: () => overtaken.resolve() });
    const stream = openRaw(door, '/containerd.services.content.v1.Content/Read', message);
    const trailers = once(stream, 'trailers');
    await once(stream, 'response');
    await overtaken.promise;
    await kill();
    let receivedBytes = 0;
    for await (const data of messagesOf(stream)) receivedBytes += data.length;
    const status = (await trailers)[0]['grpc-status'];
    expect(status === '0' ? receivedBytes : sizeBytes).toBe(sizeBytes);
    expect(['0', '14']).toContain(status);
  });
});

/** The data of the messages of a raw answer to `Read`; a message that is cut is left out. */
async function* messagesOf(stream: AsyncIterable<Buffer>): AsyncIterable<Uint8Array> {
  let pending = Buffer.alloc(0);
  for await (const chunk of stream) {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 5 && pending.length >= 5 + pending.readUInt32BE(1)) {
      const end = 5 + pending.readUInt32BE(1);
      yield fromBinary(ReadContentResponseSchema, pending.subarray(5, end)).data;
      pending = pending.subarray(end);
    }
  }
}
